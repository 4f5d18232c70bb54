#!/usr/bin/env bash
# hdf5-reader 0.12.1 (Rust) and chunks of HDF5 that the LZ4 filter (32004) wrote in several blocks.
#
# The filter writes the size of the chunk and the size of a block once, and then the packed length before each block.
# Seen: a chunk of one block reads right. A chunk of several blocks, as hdf5plugin 7.1.0 makes them with LZ4(nbytes=1024) and
# as detectors write frames larger than a block, ends in an error, because the size of a block is looked for before every
# block. h5py reads both. So whoever reads files of detectors in Rust undoes this filter outside the crate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet h5py==3.16.0 hdf5plugin==7.1.0 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import h5py, hdf5plugin, numpy as np

values = np.arange(64 * 64, dtype="u2").reshape(64, 64)
with h5py.File("lz4.h5", "w") as file:
    file.create_dataset("one", data=values, chunks=(64, 64), **hdf5plugin.LZ4(nbytes=0))
    file.create_dataset("many", data=values, chunks=(64, 64), **hdf5plugin.LZ4(nbytes=1024))
with h5py.File("lz4.h5") as file:
    assert (file["one"][:] == values).all() and (file["many"][:] == values).all()
PY
mkdir -p reader/src
cat > reader/Cargo.toml <<'TOML'
[package]
name = "reader"
version = "0.0.0"
edition = "2021"

[dependencies]
hdf5-reader = "=0.12.1"
TOML
cat > reader/src/main.rs <<'RS'
fn main() {
    let file = hdf5_reader::Hdf5File::open("lz4.h5").unwrap();
    for name in ["one", "many"] {
        let read = file.dataset(name).unwrap().read_array::<u16>();
        match read {
            Ok(values) => println!("{name}: {}", values.iter().enumerate().all(|(i, v)| i == *v as usize)),
            Err(_) => println!("{name}: error"),
        }
    }
}
RS
found=$(cargo run --quiet --manifest-path reader/Cargo.toml)
echo "$found"
[ "$found" = $'one: true\nmany: error' ] || { echo "this has changed" >&2; exit 1; }
echo "as described"
