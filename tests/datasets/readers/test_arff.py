import gzip
import io

import numpy as np
import pytest
from damaged_files import damaged_copies
from numpy.testing import assert_array_equal
from real_data import path_of
from scipy.io import arff

from skmil.datasets import DataFileError, read_arff, read_bags

RELATIONS = r"""% made by hand
@RELATION molecules

@attribute molecule {ethanol,'oil of cloves'}
@Attribute bag relational
  @attribute energy numeric
  @attribute "radius of gyration" REAL
@end bag
@attribute class {0,1}

@DATA
ethanol,"4.5,10\n-4.6e1,.5",1
% the second bag
'oil of cloves' , '0, 11' , 0
"""
FLAT = """\
@relation molecules
@attribute molecule string
@attribute energy numeric
@attribute radius integer
@attribute class {no,yes}
@data
ethanol,4.5,10,yes
phenol,0.2,11,no
ethanol,4.6,12,yes % measured again
"""


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file."""

    def write_text(text, name="bags.arff"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


def header(*features, label="{0,1}"):
    """Return the header of a file of bags with such features."""
    declared = "".join(f"@attribute f{i} {kind}\n" for i, kind in enumerate(features))
    return (
        f"@relation r\n@attribute id string\n@attribute bag relational\n{declared}"
        f"@end bag\n@attribute class {label}\n@data\n"
    )


def test_relations_become_bags(write):
    data = read_arff(write(RELATIONS))
    assert data.bags.dtype == np.float64
    assert_array_equal(data.bags[0], [[4.5, 10], [-46, 0.5]])
    assert_array_equal(data.bags[1], [[0, 11]])
    assert data.target.dtype == np.int64
    assert data.target.tolist() == [1, 0]
    assert data.bag_ids.tolist() == ["ethanol", "oil of cloves"]
    assert data.feature_names == ["energy", "radius of gyration"]
    assert data.bags.feature_names.tolist() == data.feature_names
    assert data.nominal_values == {}
    assert data.instance_ids is None
    assert data.instance_labels is None


def test_rows_of_instances_become_bags(write):
    data = read_arff(write(FLAT))
    assert_array_equal(data.bags[0], [[4.5, 10], [4.6, 12]])
    assert_array_equal(data.bags[1], [[0.2, 11]])
    assert data.target.tolist() == ["yes", "no"]
    assert data.bag_ids.tolist() == ["ethanol", "phenol"]
    assert data.feature_names == ["energy", "radius"]


def test_bag_and_label_of_rows_can_be_named(write):
    text = (
        "@attribute x real\n@attribute y {1,2}\n@attribute b real\n@data\n5,1,70\n6,2,71\n7,1,70\n"
    )
    data = read_arff(write(text), bag="b", label="y")
    assert_array_equal(data.bags.instances, [[5], [7], [6]])
    assert data.bag_ids.tolist() == ["70", "71"]
    assert data.target.tolist() == [1, 2]


def test_one_of_several_labels_is_named(write):
    text = (
        "@attribute id {a,b}\n@attribute bag relational\n@attribute x real\n@end bag\n"
        "@attribute beach {0,1}\n@attribute sea {0,1}\n@data\na,'1\\n2',0,1\nb,'3',1,0\n"
    )
    assert read_arff(write(text), label="beach").target.tolist() == [0, 1]
    assert read_arff(write(text), label="sea").target.tolist() == [1, 0]
    with pytest.raises(DataFileError, match=r"there are 4 attributes .* say with `label`"):
        read_arff(write(text))


def test_nominal_features_hold_the_place_of_their_value(write):
    text = header("{red,'dark blue',green}", "real") + "a,'green,1\\n\\'dark blue\\',2\\nred,3',1\n"
    data = read_arff(write(text))
    assert_array_equal(data.bags.instances, [[2, 1], [1, 2], [0, 3]])
    assert data.nominal_values == {"f0": ["red", "dark blue", "green"]}


@pytest.mark.parametrize(
    ("quoted", "name"),
    [
        (r"'it\'s'", "it's"),
        (r'"it\'s"', "it's"),
        ('"it\'s, he said"', "it's, he said"),
        (r"'\\n'", r"\n"),
        (r"'\\'", "\\"),
        (r"'\\\\\''", r"\\'"),
        (r"'100\% sure'", "100% sure"),
        (r"'a\tb\u001Ec'", "a\tb\x1ec"),
        ("'été'", "été"),
        ("'50%'", "50%"),
    ],
)
def test_quotes_and_escapes(write, quoted, name):
    data = read_arff(write(header("real") + f"{quoted},'1\\n2',1\n"))
    assert data.bag_ids.tolist() == [name]
    assert_array_equal(data.bags.instances, [[1], [2]])


def test_sparse_instances_stay_sparse(write):
    text = header("real", "{no,yes}", "real")
    text += "a,'{0 1.5, 2 -3}\\n{}',1\nb,\"{1 yes}\\n{ 1  yes , 2 7 }\",0\n"
    data = read_arff(write(text))
    assert data.bags.instances.format == "csr"
    assert_array_equal(
        data.bags.instances.toarray(), [[1.5, 0, -3], [0, 0, 0], [0, 1, 0], [0, 1, 7]]
    )
    assert data.bags.bag_sizes.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("label", "values", "expected"),
    [
        ("{0,1}", "01", [0, 1]),
        ("numeric", ["0.5", "2"], [0.5, 2.0]),
        ("{neg,pos}", ["neg", "pos"], ["neg", "pos"]),
        ("string", ["neg", "1"], ["neg", "1"]),
    ],
)
def test_labels_are_numbers_where_all_are(write, label, values, expected):
    text = header("real", label=label) + f"a,'1',{values[0]}\nb,'2',{values[1]}\n"
    assert read_arff(write(text)).target.tolist() == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n% more\n"),
        lambda text: text.rstrip(),
        lambda text: text.replace('.5",', '.5\\n",'),
        lambda text: text.replace('.5",1', ".5\", 1 % it's one, not 0"),
        lambda text: text.replace("' , 0", "',0% zero"),
        lambda text: text.replace("4.5,10", " 4.5 , 10 "),
        lambda text: text.replace("{ethanol,'oil of cloves'}", "string"),
    ],
)
def test_ends_comments_and_blanks_change_nothing(write, change):
    expected = read_arff(write(RELATIONS))
    data = read_arff(write(change(RELATIONS), "changed.arff"))
    assert_array_equal(data.bags.instances, expected.bags.instances)
    assert_array_equal(data.bags.offsets, expected.bags.offsets)
    for key in ("target", "bag_ids", "feature_names"):
        assert list(data[key]) == list(expected[key])


def musk1_text(flat):
    """Return the lines of Musk1 in the words of Weka's documentation, and its arrays."""
    data = np.load(path_of("musk1"))
    rows = [",".join(f"{x:g}" for x in row) for row in data["instances"]]
    lines = ["@relation musk1", f"@attribute molecule_name {{{','.join(data['bag_names'])}}}"]
    features = [f"@attribute f{i + 1} numeric" for i in range(166)]
    lines += features if flat else ["@attribute bag relational", *features, "@end bag"]
    lines += ["@attribute class {0,1}", "@data"]
    for i, (name, label) in enumerate(zip(data["bag_names"], data["y"], strict=True)):
        bag = rows[data["offsets"][i] : data["offsets"][i + 1]]
        if flat:
            lines += [f"{name},{row},{label}" for row in bag]
        else:
            relation = r"\n".join(bag)
            lines.append(f'{name},"{relation}",{label}')
    return "\n".join(lines) + "\n", data


@pytest.mark.parametrize("flat", [False, True])
def test_musk1_comes_back_from_either_layout(write, flat):
    text, expected = musk1_text(flat)
    data = read_bags(write(gzip.compress(text.encode()), "musk1.arff.gz"))
    assert_array_equal(data.bags.instances, expected["instances"])
    assert_array_equal(data.bags.offsets, expected["offsets"])
    assert_array_equal(data.target, expected["y"])
    assert_array_equal(data.bag_ids, expected["bag_names"])
    assert data.feature_names[::165] == ["f1", "f166"]


def test_musk1_is_parsed_as_scipy_parses_it(write):
    text, _ = musk1_text(flat=False)
    data = read_arff(write(text))
    rows, _ = arff.loadarff(io.StringIO(text))
    for i, (name, relation, label) in enumerate(rows):
        assert_array_equal(data.bags[i], np.array(relation.tolist()))
        assert data.bag_ids[i] == name.decode()
        assert data.target[i] == int(label)
    assert i == data.bags.n_bags - 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no line @data"),
        ("bag,label,x\n1,2,3\n", "line 1: @relation, @attribute, @end or @data must begin"),
        ("@data\n", "header: bag, features and label are needed"),
        (header("real"), ": it holds no bags"),
        (header("real").removesuffix("@data\n"), "there is no line @data"),
        (header("real").replace("@end bag\n", ""), "the relation 'bag' has no '@end bag'"),
        (header("real").replace("@end bag", "@end"), "line 5: .* is empty"),
        (header("real").replace("@end bag", "@end id"), "line 5: @end closes 'id'"),
        (header("relational"), "line 4: the relation 'f0' is inside another one"),
        (
            header("real").replace("f0", "f0 real\n@attribute f0"),
            "line 5: .*'f0' is declared twice",
        ),
        (header("real").replace("class {0", "class {1"), "a value of 'class' is declared twice"),
        (header("real").replace("1}", "1"), "the values of 'class' have no closing brace"),
        (header("reel"), "line 4: the type of attribute 'f0' is unknown: 'reel'"),
        (header(), "header: there are no features"),
        (header("string"), "header: the feature 'f0' is a string attribute"),
        (header("date"), "header: the feature 'f0' is a date attribute"),
        (header("real", label="date"), "header: 'class' is a date attribute"),
        (header("real").replace("id string", "id relational\n@end id"), "2 attributes are rel"),
        ("@attribute 'a real\n", "line 1: a quote is not closed"),
    ],
)
def test_headers_that_declare_no_bags_are_refused(write, text, message):
    with pytest.raises(DataFileError, match=rf"bags\.arff.*{message}"):
        read_arff(write(text))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,'1,2'\n", "line 9: it has more values than|line 9: it has 2 values, but 3"),
        ("a,'1,2',1,{0.5}\n", "line 9: it has more values than the 3"),
        ("a,1,2,1\n", "line 9: it has 4 values, but 3 are declared"),
        ("a,'1,2\\n1',1\n", "line 9, instance 1: it has 1 values, but 2 are declared"),
        ("a,'1,2\\n3,x',1\n", "line 9, instance 1: the value of 'f1' is not a number: 'x'"),
        ("a,'1,nan',1\n", "line 9, instance 0: the value of 'f1' is not finite"),
        ("a,'1,?',1\n", "line 9, instance 0: the value of 'f1' is missing"),
        ("a,?,1\n", "line 9, instance 0: it has 1 values"),
        ("?,'1,2',1\n", "line 9: the value of 'id' is missing"),
        ("a,'1,2',?\n", r"line 9: the value of 'class' is missing"),
        ("a,'1,2',2\n", "line 9: the value of 'class' is not one of those declared: '2'"),
        ("a,'',1\n", "line 9: the bag is empty"),
        ("a,'1,2',1\n\na,'1,2',1\n", "line 11: there is a second bag 'a'"),
        ("a,'1,2,1\n", "line 9: a quote is not closed"),
        ("a,1'2,3',1\n", "line 9: a quote stands inside a value"),
        ("a,'1,2'3,1\n", "line 9: a comma is missing before '3,1'"),
        ("a,'1,\\x2',1\n", r"line 9: '\\\\x' is no escape sequence"),
        ("a,'1,\0',1\n", "line 9: there is a zero byte"),
        ("{0 a, 2 1}\n", "line 9: sparse rows of whole bags are not read"),
        ("a,'{0 1',1\n", "line 9, instance 0: the sparse instance has no closing brace"),
        ("a,'{0 1, 5}',1\n", "line 9, instance 0: an index and a value are needed"),
        ("a,'{0 1, 2 5}',1\n", "line 9, instance 0: the index 2 is too large"),
        ("a,'{1 1, 0 5}',1\n", "line 9, instance 0: the indices of the features must rise"),
        ("a,'{-1 1}',1\n", "line 9, instance 0: the index .* got '-1'"),
        ("a,'{0 x}',1\n", "line 9, instance 0: value 1 is not a number: 'x'"),
        ("a,'{0 1}\\n1,2',1\n", "line 9, instance 1: it is dense, but those before"),
        ("a,'1,2\\n{0 1}',1\n", "line 9, instance 1: it is sparse, but those before"),
        (b"\xff,'1,2',1\n", "line 9: the value of 'id' is not text in UTF-8"),
    ],
)
def test_rows_that_are_no_bags_are_refused(write, rows, message):
    rows = rows if isinstance(rows, bytes) else rows.encode()
    with pytest.raises(DataFileError, match=rf"bags\.arff.*{message}"):
        read_arff(write(header("real", "real").encode() + rows))


def test_a_bag_of_rows_has_one_label(write):
    text = FLAT.replace("4.6,12,yes", "4.6,12,no")
    with pytest.raises(DataFileError, match=r"Bag 'ethanol' has more .*: 'yes' and 'no'"):
        read_arff(write(text))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bag": "id"}, "there is no attribute 'id'; there are 'molecule', 'energy'"),
        ({"label": "molecule"}, "the bag and the label are both 'molecule'"),
    ],
)
def test_bag_and_label_are_two_attributes_of_the_file(write, arguments, message):
    with pytest.raises(DataFileError, match=message):
        read_arff(write(FLAT), **arguments)


@pytest.mark.parametrize("row", ["\\'" * 50_000, "'a'," * 50_000, "''," + "a," * 50_000])
def test_long_lines_are_refused_without_delay(write, row):
    with pytest.raises(DataFileError, match="line 8"):
        read_arff(write(header("real") + f"{row}\n"))


@pytest.mark.parametrize("text", [RELATIONS, FLAT])
def test_a_damaged_file_is_read_or_refused_but_never_crashes(write, text):
    n_refused = 0
    for content in damaged_copies(text.encode(), 400):
        try:
            read_arff(write(content))
        except DataFileError:
            n_refused += 1
    assert 100 < n_refused < 400
