"""What there is to say about a published data set."""

from textwrap import fill

_TEMPLATE = """\
{title}
{line}

{summary}

**Data set characteristics**

:Task: {task}
:Number of bags: {n_bags}, of which {n_positive} are positive
:Number of instances: {n_instances}, {smallest} to {largest} in a bag
:Number of features: {n_features}{sparse}
:Classes: 0 is "{negative}", 1 is "{positive}"
:Instance labels: {instance_labels}
:Missing values: none
:Origin: {origin}
:Licence: {licence}
:Source: {source}

{notes}**References**

{references}
"""
_LICENCES = {
    "research use": (
        "none that would allow to pass the files on; for use in research they are downloaded "
        "from where they were published"
    )
}


def describe(entry, bags, target):
    """Return the description of a data set that has been read.

    Parameters
    ----------
    entry : Entry
        What the catalogue says.
    bags : Bags
        The bags.
    target : ndarray of shape (n_bags,)
        Their labels, 0 or 1.

    Returns
    -------
    text : str
        The description, in reStructuredText.
    """
    notes = "".join(_item(note) for note in entry.notes)
    return _TEMPLATE.format(
        title=entry.title,
        line="-" * len(entry.title),
        summary=fill(entry.summary, 90),
        task=entry.task,
        n_bags=bags.n_bags,
        n_positive=target.sum(),
        n_instances=bags.n_instances,
        smallest=bags.bag_sizes.min(),
        largest=bags.bag_sizes.max(),
        n_features=bags.n_features,
        sparse=", in a sparse matrix" if entry.sparse else "",
        negative=entry.target_names[0],
        positive=entry.target_names[1],
        instance_labels="genuine" if entry.genuine_instance_labels else "unknown",
        origin=entry.origin,
        licence=_LICENCES.get(entry.licence, entry.licence),
        source=source(entry),
        notes=f"**What to watch out for**\n\n{notes}\n" if notes else "",
        references="".join(_item(citation) for citation in entry.citations).rstrip("\n"),
    )


def source(entry):
    """Return where the files of a data set lie, in words."""
    file = entry.files[0]
    names = ", ".join(file.path for file in entry.files)
    return f"https://github.com/{file.repository}, commit {file.commit}, {names}"


def _item(text):
    return (
        fill(text, 90, initial_indent="- ", subsequent_indent="  ", break_long_words=False) + "\n"
    )
