"""Writes the HDF5 files of this folder with h5py 3.16 (HDF5 2.0), hdf5plugin 7.1 and nxtomo 3.1.1."""
import json, os, sys
import h5py, hdf5plugin, numpy as np

def scan(f, name, frames, key, angles, edit=None, data=None):
    e = f.create_group(name); e.attrs["NX_class"] = "NXentry"; e["definition"] = "NXtomo"
    d = e.create_group("instrument/detector"); e["instrument"].attrs["NX_class"] = "NXinstrument"; d.attrs["NX_class"] = "NXdetector"
    s = e.create_group("sample"); s.attrs["NX_class"] = "NXsample"
    if data is None: d["data"] = frames
    else: data(d)
    d["image_key"] = key; s["rotation_angle"] = angles; s["rotation_angle"].attrs["units"] = "degree"
    if edit: edit(e, d, s)

# Two darks of 100, two flats of 1000, six views that count up from 500.
frames = np.concatenate([np.full((2, 3, 4), 100), np.full((2, 3, 4), 1000), 500 + np.arange(72).reshape(6, 3, 4)]).astype("u2")
key = np.array([2, 2, 1, 1] + [0] * 6); angles = np.array([0.0] * 4 + [0, 30, 60, 90, 120, 150])
with h5py.File("raw.h5", "w") as f: scan(f, "entry", frames, key, angles)
src = "entry/instrument/detector/data"

def virtual(d, file="raw.h5", lib=None):
    lay = h5py.VirtualLayout(shape=frames.shape, dtype="u2")
    vs = h5py.VirtualSource(file, src, shape=frames.shape)
    lay[0:4] = vs[0:4]; lay[4:10:2] = vs[4:7]; lay[5:10:2] = vs[7:10]
    d.create_virtual_dataset("data", lay, fillvalue=7)
with h5py.File("virtual.h5", "w") as f: scan(f, "entry", frames, key, angles, data=virtual)
with h5py.File("virtual_latest.h5", "w", libver="latest") as f: scan(f, "entry", frames, key, angles, data=virtual)
# Sources with long names in this file and another, as the newest library shares them; a user block before the mark.
long = "counts_of_the_detector_in_the_main_hutch"
with h5py.File("woven.h5", "w", libver="latest", userblock_size=512) as f:
    f[long] = frames + np.uint16(1)
    lay = h5py.VirtualLayout(shape=(20, 3, 4), dtype="u2")
    own = h5py.VirtualSource(".", long, shape=frames.shape); vs = h5py.VirtualSource("raw.h5", src, shape=frames.shape)
    for n, (a, b) in enumerate(((own, 0), (vs, 0), (own, 5), (vs, 5))): lay[5 * n:5 * n + 5] = a[b:b + 5]
    f.create_virtual_dataset("woven", lay)
    f.create_dataset("packed", data=frames, chunks=(1, 3, 4), compression="gzip", shuffle=True)
# Turns of a detector: half a turn about the beam, twice half a turn about y, a quarter about the beam.
with h5py.File("turned.h5", "w") as f:
    for name, turns in (("half", [((0, 0, 1), 180)]), ("twice", [((0, 1, 0), 180), ((1e-9, -1, 0), 180)]), ("quarter", [((0, 0, 1), 90)])):
        scan(f, name, frames, key, angles)
        g = f.create_group(f"{name}/instrument/detector/pose"); g.attrs["NX_class"] = "NXtransformations"
        for n, (vector, deg) in enumerate(turns):
            g[f"r{n}"] = float(deg); g[f"r{n}"].attrs.update({"vector": np.array(vector, "f8"), "transformation_type": "rotation", "units": "degree"})
with h5py.File("external.h5", "w") as f: scan(f, "entry", frames, key, angles, data=lambda d: d.__setitem__("data", h5py.ExternalLink("raw.h5", "/" + src)))
with h5py.File("missing.h5", "w") as f: scan(f, "entry", frames, key, angles, data=lambda d: d.__setitem__("data", h5py.ExternalLink("gone.h5", "/" + src)))
def partly(d):
    lay = h5py.VirtualLayout(shape=frames.shape, dtype="u2")
    vs = h5py.VirtualSource("raw.h5", src, shape=frames.shape); gone = h5py.VirtualSource("gone.h5", src, shape=frames.shape)
    lay[0:8] = vs[0:8]; lay[8:10] = gone[8:10]
    d.create_virtual_dataset("data", lay)
with h5py.File("partly.h5", "w") as f: scan(f, "entry", frames, key, angles, data=partly)
# Growing: two files counted by %b, and one source without an end.
for n in range(2):
    with h5py.File(f"part_{n}.h5", "w") as f: f["d"] = np.full((2, 3, 4), 10 + n, "u2")
with h5py.File("growing.h5", "w") as f:
    space = h5py.h5s.create_simple((1, 3, 4), (h5py.h5s.UNLIMITED, 3, 4))
    space.select_hyperslab((0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1), (2, 3, 4), (2, 3, 4))
    source = h5py.h5s.create_simple((2, 3, 4))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE); plist.set_virtual(space, b"part_%b.h5", b"d", source)
    h5py.h5d.create(f.id, b"counted", h5py.h5t.NATIVE_UINT16, space, plist)

cube = (np.arange(4 * 6 * 5) * 37 % 251).astype("u2").reshape(4, 6, 5)
B = hdf5plugin
kinds = {
    "gzip": dict(compression="gzip", shuffle=True, fletcher32=True), "lzf": dict(compression="lzf", shuffle=True), "szip": dict(compression="szip"),
    "scaleoffset": dict(scaleoffset=0), "lz4": B.LZ4(), "lz4_blocks": B.LZ4(nbytes=32), "bitshuffle": B.Bitshuffle(cname="none"), "bitshuffle_lz4": B.Bitshuffle(cname="lz4"),
    "bitshuffle_zstd": B.Bitshuffle(cname="zstd"), "zstd": B.Zstd(), "blosc_lz4": B.Blosc(cname="lz4"), "blosc_zstd": B.Blosc(cname="zstd", shuffle=B.Blosc.BITSHUFFLE),
    "blosc_blosclz": B.Blosc(cname="blosclz"), "blosc_zlib": B.Blosc(cname="zlib"), "bzip2": B.BZip2(),
}
with h5py.File("filters.h5", "w") as f:
    f["plain"] = cube
    for name, kw in kinds.items(): f.create_dataset(name, data=cube, chunks=(3, 4, 5), **kw)
    f.create_dataset("zfp", data=cube.astype("f4"), chunks=(4, 6, 5), **B.Zfp(reversible=True))
    f.create_dataset("unwritten", shape=cube.shape, dtype="u2", chunks=(1, 6, 5), fillvalue=9)
    f["half"] = cube.astype("f2"); f["big"] = cube.astype(">i4"); f["long"] = cube.astype("i8"); f["truth"] = cube > 100

# Imaris pads to whole chunks and writes attributes letter by letter.
letters = lambda t: np.array([c.encode() for c in t], "S1")
with h5py.File("imaris.ims", "w") as f:
    for t in range(2):
        for c in range(2):
            g = f.create_group(f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel {c}")
            for a, n in zip("XYZ", (5, 6, 4)): g.attrs[f"ImageSize{a}"] = letters(str(n))
            padded = np.zeros((8, 8, 8), "u2"); padded[:4, :6, :5] = cube + 1000 * c + 10000 * t; g.create_dataset("Data", data=padded, chunks=(8, 8, 8), compression="gzip")
    i = f.create_group("DataSetInfo/Image"); i.attrs["Unit"] = letters("um")
    for a, (lo, hi) in enumerate([("0", "0.5"), ("0", "0.9"), ("1", "2")]): i.attrs[f"ExtMin{a}"] = letters(lo); i.attrs[f"ExtMax{a}"] = letters(hi)
    for c, n in enumerate(("DAPI", "GFP")): f.create_group(f"DataSetInfo/Channel {c}").attrs["Name"] = letters(n)

# BigDataViewer stores unsigned numbers as signed ones.
with h5py.File("bdv.h5", "w") as f:
    for t in range(2):
        f[f"t{t:05}/s00/0/cells"] = (cube + 40000 + t).astype("u2").view("i2"); f[f"t{t:05}/s00/1/cells"] = cube[::2, ::2, ::2].view("i2")
    f["s00/resolutions"] = np.array([[1., 1, 1], [2, 2, 2]])
open("bdv.xml", "w").write("""<SpimData version="0.2"><SequenceDescription><ViewSetups><ViewSetup><id>0</id><name>cell</name><size>5 6 4</size>
<voxelSize><unit>nm</unit><size>10.0 20.0 30.0</size></voxelSize></ViewSetup></ViewSetups></SequenceDescription></SpimData>
""")

# tomviz writes x, y, z in this order; distances in brackets.
with h5py.File("tomviz.emd", "w") as f:
    f.attrs["version_major"] = 0; f.attrs["version_minor"] = 2
    g = f.create_group("data/tomography"); g.attrs["emd_group_type"] = 1; g["data"] = np.ascontiguousarray(cube.T)
    for n, (a, m, step) in enumerate((("x", 5, 10), ("y", 6, 20), ("z", 4, 30)), 1):
        g[f"dim{n}"] = np.arange(m, dtype="f4") * step; g[f"dim{n}"].attrs["name"] = a; g[f"dim{n}"].attrs["units"] = "[n_m]"

# nxtomo itself: drift frames, a mirrored detector, the pixel at the sample.
if len(sys.argv) > 1:
    import pint
    from nxtomo.application.nxtomo import NXtomo
    ur = pint.get_application_registry(); nx = NXtomo()
    d = nx.instrument.detector; d.data = frames; d.image_key_control = [2, 2, 1, 1] + [0] * 4 + [-1] * 2
    nx.sample.rotation_angle = angles * ur.degree
    d.x_pixel_size = d.y_pixel_size = 6.5e-6 * ur.meter; nx.sample.x_pixel_size = nx.sample.y_pixel_size = 1e-8 * ur.meter
    nx.instrument.beam.incident_energy = 0.52 * ur.keV; d.count_time = np.where(key == 0, 2.0, 1.0) * ur.second
    d.set_transformation_from_lr_flipped(True); nx.control.data = np.full(10, 0.3) * ur.ampere
    if os.path.exists("nxtomo31.nx"): os.remove("nxtomo31.nx")
    for name in ("entry0000", "entry0001"): nx.save("nxtomo31.nx", name)

# Numbers whose bits lie otherwise than in this machine: 12 of 16 bits, short floats, a named type, packed bit by bit.
T = h5py.h5t
def whole(base, n, at):
    t = base.copy(); t.set_precision(n); t.set_offset(at); return t
def brain():
    t = T.IEEE_F32LE.copy(); t.set_fields(15, 7, 8, 0, 7); t.set_precision(16); t.set_size(2); t.set_ebias(127); return t
with h5py.File("bits.h5", "w") as f:
    signed = cube.astype("i2") - 100
    wide = T.STD_U16LE.copy(); wide.set_precision(12); wide.commit(f.id, b"camera")
    def put(name, t, values, plist=None):
        d = h5py.h5d.create(f.id, name, t, h5py.h5s.create_simple(cube.shape), plist)
        d.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(values))
    put(b"twelve", whole(T.STD_U16LE, 12, 4), cube); put(b"signed", whole(T.STD_I16BE, 12, 0), signed)
    put(b"named", wide, cube); put(b"brain", brain(), cube.astype("f4") / 2)
    packed = h5py.h5p.create(h5py.h5p.DATASET_CREATE); packed.set_chunk((2, 6, 5)); packed.set_filter(h5py.h5z.FILTER_NBIT)
    put(b"packed", whole(T.STD_I16LE, 12, 2), signed, packed)

# Positions along the axes in lists beside an array, in every way that says so.
def listed(g, where, first, step, n, unit=None, **attrs):
    g[where] = first + step * np.arange(n)
    if unit: g[where].attrs["units"] = unit
    g[where].attrs.update(attrs)
def nxdata(f, name, data, axes):
    g = f.create_group(name); g.attrs.update({"NX_class": "NXdata", "signal": "data", "axes": axes}); g["data"] = data
    return g
with h5py.File("scales.h5", "w") as f:
    g = nxdata(f, "named", cube, ["depth", "y", "x"]); listed(g, "depth", 5.0, 30.0, 4, "nm"); listed(g, "y", -60.0, 20.0, 6, "nm"); listed(g, "x", 0.0, 10.0, 5, "nm")
    g = nxdata(f, "turned", np.ascontiguousarray(cube.T), ["x", "y", "z"]); listed(g, "z", 0, 0.03, 4, "um"); listed(g, "y", 0, 0.02, 6, "um"); listed(g, "x", 0, 0.01, 5, "um")
    g = nxdata(f, "down", cube[::-1], ["z", "y", "x"]); listed(g, "z", 95.0, -30.0, 4, "nm"); listed(g, "y", 0, 20.0, 6, "nm"); listed(g, "x", 0, 10.0, 5, "nm")
    g = nxdata(f, "bare", cube, ["z", "y", "x"]); listed(g, "z", 0, 2.0, 4); listed(g, "y", 0, 1.0, 6, "pixel"); listed(g, "x", 0, 1.0, 5)
    g = nxdata(f, "views", frames[4:], ["rotation_angle", ".", "."]); listed(g, "rotation_angle", -50.0, 20.0, 6, "degree")
    g = f.create_group("old"); g["data"] = cube; g["data"].attrs.update({"signal": 1, "axes": "a:b:c"})
    for n, (name, step) in enumerate((("a", 30.0), ("b", 20.0), ("c", 10.0))): listed(g, name, 0, step, cube.shape[n], "nm", axis=n + 1)
    g = f.create_group("scaled"); g["data"] = cube
    for n, (name, step) in enumerate((("height", 3e-8), ("b", 2e-8), ("c", 1e-8))):
        listed(f, f"of_{name}", 0, step, cube.shape[n], "m"); f[f"of_{name}"].make_scale(name); g["data"].dims[n].attach_scale(f[f"of_{name}"])
# EMD: views with pixels, two arrays, lists of the first two places; and what Velox writes under the same name.
with h5py.File("views.emd", "w") as f:
    for name, data, dims in (("first", frames[4:], (("angles", -50.0, 20.0, 6, "[deg]"), ("y", 0, 10.0, 3, "[n_m]"), ("x", 0, 10.0, 4, "[n_m]"))), ("second", cube, (("z", 0, 3.0, 2, "[n_m]"), ("y", 0, 2.0, 2, "[n_m]"), ("x", 0, 1.0, 2, "[n_m]")))):
        g = f.create_group(f"data/{name}"); g.attrs["emd_group_type"] = 1; g["data"] = data
        for n, (axis, first, step, places, unit) in enumerate(dims): listed(g, f"dim{n + 1}", first, step, places, unit, name=axis)
with h5py.File("velox.emd", "w") as f:
    g = f.create_group("Data/Image/0f1e2d3c"); g["Data"] = np.ascontiguousarray(np.moveaxis(frames[4:], 0, 2))
    texts = [json.dumps({"BinaryResult": {"PixelSize": {"width": "1e-08", "height": "1e-08"}, "PixelUnitX": "m", "PixelUnitY": "m"}, "Stage": {"AlphaTilt": str(np.deg2rad(-50 + 20 * n))}}) for n in range(6)]
    g["Metadata"] = np.array([list(t.encode().ljust(300, b"\0")) for t in texts], "u1").T
