"""What estimators share whose networks make one vector of each bag."""

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin


class BagEmbeddingMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of neural classifiers that can also embed bags; left of the base class.

    The second of the network's outputs are the bag embeddings, and the network knows its
    `embedding_size`, the width of all of a bag's vectors together.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # embeddings have the network's type
        return tags

    def transform(self, X):
        """Embed bags.

        Parameters
        ----------
        X : bags
            Bags to embed.

        Returns
        -------
        embeddings : ndarray of shape (n_bags, n_dimensions)
            The vectors that bags are classified by; see the notes of the class.
        """
        # Units close to zero lose most of their digits in float32.
        embeddings = self._run(self._checked(X), exact=True)[1]
        return embeddings.reshape(len(embeddings), -1)

    @property
    def _n_features_out(self):
        """Width of `transform`'s output, for ``get_feature_names_out``."""
        return self.net_.module_.embedding_size
