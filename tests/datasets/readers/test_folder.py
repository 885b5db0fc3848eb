import gzip
import io
import tracemalloc
import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from real_data import path_of

from skmil import Bags, check_bags
from skmil.bags import is_stored
from skmil.datasets import DataFileError, read_bags, read_folder, read_npz, read_saved

ROWS = {
    "s1": np.arange(6.0).reshape(3, 2),
    "s10": np.arange(2.0).reshape(1, 2) - 7,
    "s2": np.arange(8.0).reshape(4, 2) + 0.5,
}
COORDS = {name: np.arange(2 * len(rows)).reshape(-1, 2) * 256 for name, rows in ROWS.items()}
LABELS = {"s1": "tumour", "s10": "normal", "s2": "tumour", "s3": "normal"}


def write_hdf5(path, rows, coords=None, key="features", **options):
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=rows, **options)
        if coords is not None:
            file["coords"] = coords


def write_like_clam(path, rows, coords):
    """Write a file in chunks of one row, appended in batches, as CLAM and TRIDENT do."""
    with h5py.File(path, "w") as file:
        for name, array in [("features", rows), ("coords", coords)]:
            shape, chunks = (None, array.shape[1]), (1, array.shape[1])
            dataset = file.create_dataset(
                name, data=array[:2], maxshape=shape, chunks=chunks, dtype=array.dtype
            )
            dataset.resize(len(array), axis=0)
            dataset[2:] = array[2:]
        file["coords"].attrs["patch_size"] = 256


def write(folder, suffix, dtype=np.float32, axis=False):
    """Write the bags as a file each, with positions where the format has names."""
    folder.mkdir(exist_ok=True)
    for name, rows in ROWS.items():
        values = rows.astype(dtype)[None] if axis else rows.astype(dtype)
        path = folder / f"{name}{suffix}"
        if suffix == ".npy":
            np.save(path, values)
        elif suffix == ".npz":
            np.savez_compressed(path, features=values, coords=COORDS[name])
        else:
            write_hdf5(path, values, COORDS[name])
    return folder


def assert_is_all(data, dtype=np.float32, positions=True):
    names = ["s1", "s10", "s2"]
    assert data.bag_ids.tolist() == names
    assert data.bags.dtype == dtype
    assert_array_equal(data.bags.instances, np.concatenate([ROWS[name] for name in names]))
    assert data.bags.bag_sizes.tolist() == [3, 1, 4]
    if positions:
        assert data.positions.dtype == np.int64
        assert_array_equal(data.positions, np.concatenate([COORDS[name] for name in names]))
    else:
        assert data.positions is None


@pytest.mark.parametrize("axis", [False, True])
@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".H5", ".npy", ".npz"])
@pytest.mark.parametrize("where", ["memory", "packed", "lazy"])
def test_every_format_is_read_in_the_order_of_names(tmp_path, suffix, axis, where):
    folder = write(tmp_path / "in", suffix, axis=axis)
    packed = where == "packed"
    save_to = tmp_path / "out" if packed else None
    data = read_folder(folder, save_to=save_to, lazy=where == "lazy")
    assert_is_all(data, positions=suffix != ".npy")
    assert data.target is None
    assert isinstance(data.bags.instances, np.memmap) == packed
    assert is_stored(data.bags.instances) == (where != "memory")
    if packed:
        again = read_saved(tmp_path / "out")
        again.setdefault("positions", None)
        assert_is_all(again, positions=suffix != ".npy")


def test_read_bags_reads_folders(tmp_path):
    folder = write(tmp_path / "in", ".h5")
    data = read_bags(folder, labels=LABELS)
    assert_is_all(data)
    assert data.target.tolist() == ["tumour", "normal", "tumour"]


@pytest.mark.parametrize(
    ("stored", "asked", "dtype"),
    [
        (np.float16, None, np.float32),
        (np.float32, None, np.float32),
        (np.float64, None, np.float64),
        (np.int16, None, np.float64),
        (">f4", None, np.float32),
        (np.float16, np.float64, np.float64),
        (np.float64, np.float32, np.float32),
        (np.float64, "float32", np.float32),
    ],
)
@pytest.mark.parametrize("suffix", [".h5", ".npy"])
def test_the_type_of_instances(tmp_path, suffix, stored, asked, dtype, monkeypatch):
    if np.dtype(stored).kind == "i":
        for name, rows in list(ROWS.items()):
            monkeypatch.setitem(ROWS, name, np.floor(rows))
    folder = write(tmp_path / "in", suffix, stored)
    data = read_folder(folder, dtype=asked, positions_key=None)
    assert_is_all(data, dtype, positions=False)
    assert check_bags(data.bags).instances is data.bags.instances


def test_types_that_differ_become_the_wider_one(tmp_path):
    folder = write(tmp_path / "in", ".npy", np.float16)
    np.save(folder / "s2.npy", ROWS["s2"])
    assert read_folder(folder).bags.dtype == np.float64
    with pytest.raises(ValueError, match=r"dtype must be numpy\.float32 or numpy\.float64"):
        read_folder(folder, dtype=np.float16)


def test_a_number_too_large_for_float32_is_refused(tmp_path):
    folder = write(tmp_path / "in", ".npy", np.float64)
    np.save(folder / "s2.npy", np.array([[1.0, 2.0], [3.0, 1e300]]))
    assert read_folder(folder).bags.n_instances == 6
    with pytest.raises(DataFileError, match=r"s2\.npy.*infinity \(inf\) in row 1, column 1"):
        read_folder(folder, dtype=np.float32)


@pytest.mark.parametrize("key", ["features", "feats", "embeddings", "anything"])
def test_the_array_is_found_by_its_usual_name(tmp_path, key):
    write_hdf5(tmp_path / "a.h5", ROWS["s1"], key=key)
    assert_array_equal(read_folder(tmp_path).bags.instances, ROWS["s1"])
    np.savez(tmp_path / "b.npz", **{key: ROWS["s2"]})
    data = read_folder(tmp_path, pattern="*.npz")
    assert_array_equal(data.bags.instances, ROWS["s2"])


def test_another_array_is_named_by_key(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["uni"] = ROWS["s1"]
        file["resnet/20x"] = ROWS["s2"]
        file["resnet/coords"] = COORDS["s2"]
    with pytest.raises(DataFileError, match=r"a\.h5: which array .* there are 'resnet/', 'uni'"):
        read_folder(tmp_path)
    assert_array_equal(read_folder(tmp_path, key="uni").bags.instances, ROWS["s1"])
    data = read_folder(tmp_path, key="resnet/20x", positions_key="resnet/coords")
    assert_array_equal(data.bags.instances, ROWS["s2"])
    assert_array_equal(data.positions, COORDS["s2"])
    with pytest.raises(DataFileError, match="no array 'conch'; there are 'resnet/', 'uni'"):
        read_folder(tmp_path, key="conch")
    with pytest.raises(DataFileError, match="no dataset 'resnet/10x'; there are"):
        read_folder(tmp_path, key="resnet/10x")
    with pytest.raises(DataFileError, match="'resnet/': it is a group"):
        read_folder(tmp_path, key="resnet/")


def test_labels_come_from_a_mapping(tmp_path):
    folder = write(tmp_path / "in", ".npy")
    for labels in (LABELS, pd.Series(LABELS), {f"{k}.npy": v for k, v in LABELS.items()}):
        assert read_folder(folder, labels=labels).target.tolist() == ["tumour", "normal", "tumour"]
    numbers = pd.Series({"s1": 1, "s2": 0, "s10": 2})
    target = read_folder(folder, labels=numbers, save_to=tmp_path / "out").target
    assert target.tolist() == [1, 2, 0]
    assert target.dtype.kind == "i"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"s1": 0, "s2": 1}, "s10.npy: it has no label: labels has none for 's10'"),
        ({"s1": 0, "s2": 1, "s10": None}, "s10.npy: it has no label"),
        ({"s1": 0, "s2": 1, "s10": np.nan}, "s10.npy: it has no label"),
        ({"s1": 0, "s2": 1, "s10": pd.NA}, "s10.npy: it has no label"),
        ({"s1": 0, "s2": 1, "s10": "x"}, "s10.npy: its label is 'x'; .* all be numbers or all"),
        ({"s1": [0], "s2": [1], "s10": [1]}, "s1.npy: its label is"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, labels, message):
    folder = write(tmp_path / "in", ".npy")
    with pytest.raises(DataFileError, match=message):
        read_folder(folder, labels=labels)
    with pytest.raises(TypeError, match="labels must map the name of each bag"):
        read_folder(folder, labels=[0, 1, 0])


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("case_id,slide_id,label\np,s1,tumour\np,s10,normal\nq,s2,tumour\nq,s9,other\n", {}),
        ("file,label\ns1.h5,tumour\ns10.h5,normal\ns2.h5,tumour\ns2.h5,tumour\n", {}),
        (
            "image,y\ns1,tumour\ns10,normal\ns2,tumour\n",
            {"id_column": "image", "label_column": "y"},
        ),
    ],
)
def test_labels_come_from_a_table(tmp_path, text, options):
    folder = write(tmp_path / "in", ".h5")
    (tmp_path / "labels.csv").write_text(text)
    target = read_folder(folder, labels=tmp_path / "labels.csv", **options).target
    assert target.tolist() == ["tumour", "normal", "tumour"]
    assert target.dtype.kind == "U"


def test_names_in_a_table_stay_strings_and_labels_numbers(tmp_path):
    np.save(tmp_path / "007.npy", ROWS["s1"])
    (tmp_path / "labels.csv").write_text("slide_id,label\n007,1\n7,0\n")
    target = read_folder(tmp_path, labels=str(tmp_path / "labels.csv")).target
    assert target.tolist() == [1]
    assert target.dtype.kind == "i"


MANY = "".join(f"t{i},no\n" for i in range(200))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv: the file is empty"),
        ("name,label\ns1,0\n", "no column 'slide_id'; there are 'name', 'label'"),
        ("slide_id,class\ns1,0\n", "no column 'label'; .*label_column"),
        ("slide_id,label\ns1,0\ns1,1\n", "'s1' has two different labels"),
        ("slide_id,label\ns1,0,3\ns2,0,3\n", "line 2: there are 3 values for 2 columns"),
        ("slide_id,label\ns1,0\ns2,\n", "s10.h5: it has no label"),
        ('slide_id,label\ns1,"\ns2\n', "labels.csv, line 3: unexpected end"),
        ("slide_id,label,label\ns1,0,0\n", "two columns 'label'"),
        ("slide_id,label\ns1,0\0\n", "labels.csv, line 2: there is a zero byte"),
        (f"slide_id,label\ns1,{'x' * 100_000}\n" + MANY, "one label is a text of 100000 char"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, text, message):
    folder = write(tmp_path / "in", ".h5")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataFileError, match=message):
        read_folder(folder, labels=tmp_path / "labels.csv")


def test_a_table_of_labels_may_be_compressed_but_not_damaged(tmp_path):
    folder = write(tmp_path / "in", ".h5")
    content = gzip.compress(b"\xef\xbb\xbfslide_id,label\r\ns1,01\r\ns2,02\r\ns10,\r\ns10,02\r\n")
    (tmp_path / "labels.csv.gz").write_bytes(content)
    target = read_folder(folder, labels=tmp_path / "labels.csv.gz").target
    assert target.tolist() == ["01", "02", "02"]
    (tmp_path / "labels.csv.gz").write_bytes(content[:-10])
    with pytest.raises(DataFileError, match=r"labels\.csv\.gz: .*damaged or cut short"):
        read_folder(folder, labels=tmp_path / "labels.csv.gz")


def test_labels_are_names_of_subfolders(tmp_path):
    for label, name in [("tumour", "s2"), ("normal", "s10"), ("tumour", "s1")]:
        (tmp_path / label).mkdir(exist_ok=True)
        write_hdf5(tmp_path / label / f"{name}.h5", ROWS[name], COORDS[name])
    data = read_folder(tmp_path, labels="subfolders", dtype=np.float32)
    assert_is_all(data)
    assert data.target.tolist() == ["tumour", "normal", "tumour"]
    nested = read_folder(tmp_path, labels="subfolders", pattern="**/s?.h5")
    assert nested.bag_ids.tolist() == ["s1", "s2"]
    np.save(tmp_path / "s5.npy", ROWS["s1"])
    with pytest.raises(DataFileError, match="lies in no sub-folder"):
        read_folder(tmp_path, labels="subfolders", pattern="**/*.npy")
    write_hdf5(tmp_path / "normal" / "s1.h5", ROWS["s1"])
    with pytest.raises(DataFileError, match=r"tumour.s1\.h5: .*normal.s1\.h5 is named alike"):
        read_folder(tmp_path, labels="subfolders")


def test_two_files_of_one_name_are_refused(tmp_path):
    folder = write(tmp_path / "in", ".h5")
    np.save(folder / "s2.npy", ROWS["s2"])
    with pytest.raises(DataFileError, match=r"s2\.npy: .*s2\.h5 is named alike"):
        read_folder(folder)
    assert_is_all(read_folder(folder, pattern="*.h5", dtype=np.float32))


def test_names_keep_their_dots(tmp_path):
    np.save(tmp_path / "TCGA-A1.5f2c.x.npy", ROWS["s1"])
    assert read_folder(tmp_path, labels={"TCGA-A1.5f2c.x": 1}).bag_ids == ["TCGA-A1.5f2c.x"]


def test_hidden_files_and_others_are_left_out(tmp_path):
    folder = write(tmp_path / "in", ".h5")
    (folder / "._s1.h5").write_bytes(b"\0\5\x16\7")
    (folder / "labels.csv").write_text("slide_id,label\n")
    (folder / "s9.h5").mkdir()
    assert_is_all(read_folder(folder))
    with pytest.raises(DataFileError, match=r"labels\.csv: only \.h5, \.hdf5"):
        read_folder(folder, pattern="*")


def test_a_folder_without_bags_says_what_is_there(tmp_path):
    for name in ("pt_files", "h5_files"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataFileError, match=r"no \.h5.* to read; there are 'h5_files', 'pt_f"):
        read_folder(tmp_path)
    (tmp_path / "pt_files" / "s1.pt").touch()
    with pytest.raises(DataFileError, match=r"to read; there are 's1\.pt'"):
        read_folder(tmp_path / "pt_files")
    with pytest.raises(DataFileError, match=r"that fits '\*\.h5' to read; there is nothing"):
        read_folder(tmp_path / "h5_files", pattern="*.h5")
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path / "missing")
    Bags(ROWS["s1"], [0, 3]).save(tmp_path / "saved")
    with pytest.raises(DataFileError, match="saved bags, which read_saved opens"):
        read_folder(tmp_path / "saved")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((2, 3)), "3 features, but s1.h5 has 2"),
        (np.ones((0, 2)), r"the bag is empty: its shape is \(0, 2\)"),
        (np.ones((1, 0, 2)), "the bag is empty"),
        (np.ones((2, 0)), "the bag is empty"),
        (np.ones(2), r"'features' must have the shape \(n_instances, n_features\).* has \(2,\)"),
        (np.ones((2, 2, 2)), r"but has \(2, 2, 2\)"),
        (np.array([["a", "b"]], dtype="S1"), "must hold numbers"),
        (np.ones((1, 2)) * 1j, "must hold numbers"),
        (np.array([[1, 2], [3, np.nan]]), "there is NaN in row 1, column 1"),
        (np.array([[1, 2], [-np.inf, 4]]), r"infinity \(inf\) in row 1, column 0"),
    ],
)
def test_a_bag_that_is_none_is_refused(tmp_path, rows, message):
    folder = write(tmp_path / "in", ".h5")
    write_hdf5(folder / "s2.h5", rows)
    for save_to in (None, tmp_path / "out"):
        with pytest.raises(DataFileError, match=rf"s2\.h5.*{message}"):
            read_folder(folder, positions_key=None, save_to=save_to)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_positions_that_do_not_fit_are_refused(tmp_path):
    folder = write(tmp_path / "in", ".h5")
    write_hdf5(folder / "s2.h5", ROWS["s2"], np.ones((3, 2)))
    with pytest.raises(DataFileError, match=r"s2\.h5: 'coords' must have the shape \(4, 2\)"):
        read_folder(folder)
    write_hdf5(folder / "s2.h5", ROWS["s2"])
    with pytest.raises(DataFileError, match=r"s2\.h5: no positions 'coords', but s1\.h5 has"):
        read_folder(folder)
    assert read_folder(folder, positions_key=None).positions is None
    write_hdf5(folder / "s2.h5", ROWS["s2"], np.full((1, 4, 2), 0.5))
    assert read_folder(folder).positions.dtype == np.float64


def test_files_like_those_of_clam_are_read(tmp_path):
    for name, rows in ROWS.items():
        path = tmp_path / f"{name}.h5"
        write_like_clam(path, rows.astype(np.float32), COORDS[name].astype(np.int64))
    assert_is_all(read_folder(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf"},
        {"chunks": (2, 2)},
        {"chunks": (4, 1), "compression": "gzip", "compression_opts": 9},
    ],
)
def test_compressed_datasets_are_read(tmp_path, options):
    write_hdf5(tmp_path / "a.h5", ROWS["s2"], COORDS["s2"], **options)
    assert_array_equal(read_folder(tmp_path).bags.instances, ROWS["s2"])


def test_values_that_compress_well_are_read(tmp_path):
    zeros = np.zeros((5000, 500))
    write_hdf5(tmp_path / "a.h5", zeros, compression="gzip", compression_opts=9, shuffle=True)
    assert (tmp_path / "a.h5").stat().st_size < zeros.nbytes / 100
    assert_array_equal(read_folder(tmp_path).bags.instances, zeros)


def test_links_out_of_a_file_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    write_hdf5(tmp_path / "secret.h5", ROWS["s1"])
    path = tmp_path / "in" / "a.h5"
    for link in (h5py.ExternalLink("../secret.h5", "/features"), h5py.SoftLink("/other")):
        with h5py.File(path, "w") as file:
            file["features"] = link
            file["other"] = h5py.ExternalLink("../secret.h5", "/features")
            file["group"] = h5py.ExternalLink("../secret.h5", "/")
        for key in (None, "other", "group/features"):
            with pytest.raises(DataFileError, match=r"a\.h5.*: it is a link, which is not foll"):
                read_folder(tmp_path / "in", key=key)


def test_values_in_other_files_are_not_read(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.h5"
    ROWS["s1"].tofile(tmp_path / "secret.bin")
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "features", (3, 2), "f8", external=[(str(tmp_path / "secret.bin"), 0, 48)]
        )
    with pytest.raises(DataFileError, match="its values are in other files"):
        read_folder(tmp_path / "in")
    write_hdf5(tmp_path / "secret.h5", ROWS["s1"])
    layout = h5py.VirtualLayout(shape=(3, 2), dtype="f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "features", shape=(3, 2))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("features", layout)
    with pytest.raises(DataFileError, match="its values are in other files"):
        read_folder(tmp_path / "in")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (10**9, 10**6), "chunks": (1000, 1000)}, "needs .* stored bytes cannot be"),
        ({"shape": (10**9, 10**6), "chunks": (8, 8), "compression": "gzip"}, "cannot be"),
        ({"shape": (10**5, 10**4)}, r"needs 8000000000 bytes, but 0 are there"),
        ({"shape": (2, 2), "dtype": h5py.string_dtype()}, "must hold numbers"),
        ({"shape": (2, 2), "dtype": h5py.vlen_dtype(np.int32)}, "must hold numbers"),
        ({"shape": (2, 2), "dtype": h5py.ref_dtype}, "must hold numbers"),
        ({"shape": None, "dtype": "f8"}, "holds no array"),
    ],
)
def test_a_dataset_that_declares_what_is_not_there_is_refused(tmp_path, options, message):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", **{"dtype": "f8"} | options)
    with pytest.raises(DataFileError, match=f"dataset 'features': .*{message}"):
        read_folder(tmp_path)


def test_chunks_far_larger_than_the_dataset_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        options = {"maxshape": (None, None), "compression": "gzip"}
        file.create_dataset("features", data=np.ones((4, 4)), chunks=(100, 100), **options)
        file.create_dataset("feats", data=np.ones((4, 4)), chunks=(2048, 2048), **options)
    assert read_folder(tmp_path).bags.n_instances == 4
    with pytest.raises(DataFileError, match="in chunks of 33554432 bytes, far more"):
        read_folder(tmp_path, key="feats")


def test_an_archive_that_declares_what_is_not_there_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    content = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**8, 2)}
    np.lib.format.write_array_header_1_0(content, header)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features.npy", content.getvalue())
    damaged = bytearray(path.read_bytes())
    at = damaged.index(b"PK\1\2") + 24
    n_bytes = len(content.getvalue()) + 16 * 10**8
    damaged[at : at + 4] = n_bytes.to_bytes(4, "little")
    path.write_bytes(damaged)
    with pytest.raises(DataFileError, match=f"a.npz: {n_bytes} bytes cannot come out of"):
        read_folder(tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_expands_without_bounds_is_refused(tmp_path, method):
    content = io.BytesIO()
    np.save(content, ROWS["s1"])
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("features.npy", content.getvalue())
    with pytest.raises(DataFileError, match="is not that of savez"):
        read_folder(tmp_path)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_dataset_that_was_not_written_to_its_end_is_refused(tmp_path, compression):
    rows = np.random.default_rng(0).normal(size=(10, 3))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", (10, 3), "f8", chunks=(1, 3), compression=compression)
        file["features"][:9] = rows[:9]
    with pytest.raises(DataFileError, match="Was the file written to its end"):
        read_folder(tmp_path)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["features"][9] = rows[9]
    assert_array_equal(read_folder(tmp_path).bags.instances, rows)


def test_filters_of_others_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((2, 2))
        creation.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (0,))  # Blosc
        space = h5py.h5s.create_simple((2, 2))
        h5py.h5d.create(file.id, b"features", h5py.h5t.NATIVE_DOUBLE, space, creation)
        file["features"][:] = 1
    with pytest.raises(DataFileError, match=r"filter 32001, which does not come with h5py\."):
        read_folder(tmp_path)


def test_a_missing_h5py_says_what_to_install(tmp_path, monkeypatch):
    folder = write(tmp_path / "in", ".h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install skmil\[data\]"):
        read_folder(folder)
    assert_is_all(read_folder(write(tmp_path / "npy", ".npy")), positions=False)


def test_packing_takes_the_memory_of_one_bag(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        rows = rng.normal(size=(1024, 1024)).astype(np.float32)  # 4 MiB
        write_hdf5(folder / f"{i}.h5", rows, rng.integers(99, size=(1024, 2)))
    read_folder(folder, pattern="0.h5")  # imports
    tracemalloc.start()
    try:
        packed = read_folder(folder, save_to=tmp_path / "out")
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < 3 * 2**22
        tracemalloc.reset_peak()
        whole = read_folder(folder)
        assert tracemalloc.get_traced_memory()[1] < (12 + 3) * 2**22
    finally:
        tracemalloc.stop()
    assert_array_equal(packed.bags.instances, whole.bags.instances)
    assert_array_equal(packed.positions, whole.positions)


def test_an_existing_folder_is_replaced_only_if_told(tmp_path):
    folder = write(tmp_path / "in", ".npy")
    old = Bags(ROWS["s1"], [0, 3])
    old.save(tmp_path / "out")
    with pytest.raises(FileExistsError, match="set overwrite=True"):
        read_folder(folder, save_to=tmp_path / "out")
    assert Bags.load(tmp_path / "out").n_bags == 1
    assert read_folder(folder, save_to=tmp_path / "out", overwrite=True).bags.n_bags == 3


@pytest.mark.parametrize("verbose", [0, 1])
def test_progress_is_shown_if_wanted(tmp_path, capsys, verbose):
    folder = write(tmp_path / "in", ".npy")
    assert_is_all(read_folder(folder, verbose=verbose), positions=False)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert ("Check 3/3" in shown.err) == ("Read 3/3" in shown.err) == bool(verbose)


def real_folder(tmp_path, name="derived_ucsb_breast"):
    """Write a real data set as a file for each bag."""
    path = path_of(name)
    data = read_npz(path)
    positions = np.load(path)["positions"]
    (tmp_path / "in").mkdir()
    for i, bag in enumerate(data.bags):
        rows = slice(*data.bags.offsets[i : i + 2])
        write_like_clam(tmp_path / "in" / f"slide_{i:02}.h5", bag, positions[rows])
    return data, positions


def test_real_slides_come_back_whether_packed_or_not(tmp_path):
    expected, positions = real_folder(tmp_path)
    labels = {f"slide_{i:02}": int(y) for i, y in enumerate(expected.target)}
    for save_to in (None, tmp_path / "out"):
        data = read_folder(tmp_path / "in", labels=labels, save_to=save_to)
        assert data.bags.dtype == expected.bags.dtype
        assert_array_equal(data.bags.instances, expected.bags.instances)
        assert_array_equal(data.bags.offsets, expected.bags.offsets)
        assert_array_equal(data.target, expected.target)
        assert_array_equal(data.positions, positions)
        assert data.positions.dtype == positions.dtype
        assert check_bags(data.bags).instances is data.bags.instances


def write_one(path, rows, coords):
    if path.suffix == ".npy":
        np.save(path, rows)
    elif path.suffix == ".npz":
        np.savez_compressed(path, features=rows, coords=coords)
    elif path.stem == "gzip":
        write_hdf5(path, rows, coords, compression="gzip", shuffle=True)
    else:
        write_like_clam(path, rows, coords)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "gzip.h5"])
def test_a_damaged_file_is_read_or_refused_but_never_crashes(tmp_path, name):
    path = tmp_path / name
    rng = np.random.default_rng(0)
    write_one(path, rng.normal(size=(20, 6)).astype(np.float32), rng.integers(99, size=(20, 2)))
    content = path.read_bytes()
    n_refused = 0
    for i in range(250):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 5)):
            # Where sizes are declared, a change matters most.
            at = rng.integers(len(damaged) if i % 2 else min(1024, len(damaged)))
            damaged[at] = rng.choice([0, 255, rng.integers(256)])
        path.write_bytes(damaged if i % 5 else damaged[: rng.integers(len(damaged))])
        try:
            read_folder(tmp_path)
        except DataFileError:
            n_refused += 1
    assert n_refused > 60


def test_labels_that_are_a_frame_or_of_other_names(tmp_path):
    pd = pytest.importorskip("pandas")
    np.save(tmp_path / "001.npy", np.eye(2))
    with pytest.raises(TypeError, match=r"set_index\('slide_id'\)\['label'\]"):
        read_folder(tmp_path, labels=pd.DataFrame({"slide_id": ["001"], "label": [1]}))
    with pytest.raises(DataFileError, match="none for '001', but for 1, 2, 3 and so on"):
        read_folder(tmp_path, labels={1: 0, 2: 1, 3: 0, 4: 1})
    (tmp_path / "labels.tsv").write_text("slide_id\tlabel\n001\t5\n")
    assert read_folder(tmp_path, labels=tmp_path / "labels.tsv").target.tolist() == [5]


def test_what_may_have_been_meant_by_a_folder_without_files(tmp_path):
    (tmp_path / "slide.pt").touch()
    with pytest.raises(DataFileError, match=r"\.pt\) are pickles"):
        read_folder(tmp_path)
