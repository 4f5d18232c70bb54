//! Writes volumes and scans as HDF5: a volume as `/volume`, a scan as NXtomo.

use std::path::Path;

use hdf5_pure::{AttrValue, FileBuilder, GroupBuilder, H5Element};
use ndarray::{Array3, ArrayView3, Axis};

use super::tree::text;
use crate::base::{Progress, Unit};
use crate::io::array::{FileVoxel, with_view};
use crate::io::atomic::write_atomically;
use crate::io::error::IoError;
use crate::io::format::WriteRequest;
use crate::volume::{AnyArray, Scan};
use crate::with_array;

fn string(value: &str) -> AttrValue {
    AttrValue::String(value.to_owned())
}

/// One chunk per plane: a view or slice is read without its neighbours.
fn plane_chunks(shape: [usize; 3]) -> [u64; 3] {
    [1, shape[1] as u64, shape[2] as u64]
}

/// Writes a volume; the values are held twice while the file is laid out.
pub(super) fn write_volume(
    path: &Path,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    fn values<T: FileVoxel + H5Element>(view: &ArrayView3<'_, T>, dataset: &mut hdf5_pure::DatasetBuilder) {
        dataset.with_data(view.as_standard_layout().as_slice().unwrap_or(&[]));
    }
    let shape = request.array.shape();
    progress.phase("Writing", 2);
    progress.check()?;
    let mut file = FileBuilder::new();
    let dataset = file.create_dataset("volume");
    with_view!(&request.array, view => values(view, dataset));
    dataset.with_shape(&shape.map(|n| n as u64)).with_chunks(&plane_chunks(shape));
    if request.unit == Some(Unit::Label) {
        // Labels shrink a hundredfold and quickly; noisy greys shrink by little and slowly.
        dataset.with_shuffle().with_deflate(1);
    }
    dataset.set_attr("axes", string("zyx"));
    if let Some(voxel) = request.voxel_um {
        dataset.set_attr("element_size_um", AttrValue::F64Array(voxel.to_vec()));
        dataset.set_attr("origin_um", AttrValue::F64Array(request.origin_um.to_vec()));
    }
    if let Some(unit) = request.unit {
        dataset.set_attr("unit", string(unit.ascii()));
    }
    if let Some(energy) = request.energy_ev {
        dataset.set_attr("energy_ev", AttrValue::F64(energy));
    }
    if !request.angles_deg.is_empty() {
        dataset.set_attr("angles_deg", AttrValue::F64Array(request.angles_deg.clone()));
    }
    let json = |value: Result<String, serde_json::Error>| {
        value.map_err(|e| IoError::content(path, format!("metadata: {e}")))
    };
    if let Some(classes) = request.classes {
        dataset.set_attr("classes", string(&json(serde_json::to_string(classes))?));
    }
    if !request.metadata.is_empty() {
        dataset.set_attr("metadata", string(&json(serde_json::to_string(&request.metadata))?));
    }
    progress.advance(1);
    progress.check()?;
    file.write(path).map_err(|e| IoError::content(path, text(e)))?;
    progress.advance(1);
    Ok(Vec::new())
}

/// What a frame of an NXtomo file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    View(usize),
    Flat(usize),
    Dark(usize),
}

/// Frames in the order of the acquisition: darks, then flats at their times among the views.
fn frame_order(scan: &Scan) -> Vec<Key> {
    let count = |frames: &Option<AnyArray>| frames.as_ref().map_or(0, |f| f.shape()[0]);
    let (n_views, n_flats, n_darks) = (scan.n_views(), count(&scan.flats), count(&scan.darks));
    let mut keys: Vec<Key> = (0..n_darks).map(Key::Dark).collect();
    let time = |flat: usize| scan.flat_times.get(flat).copied().unwrap_or(0.0);
    let mut flats: Vec<usize> = (0..n_flats).collect();
    flats.sort_by(|a, b| time(*a).total_cmp(&time(*b)).then(a.cmp(b)));
    let mut flats = flats.into_iter().peekable();
    for view in 0..n_views {
        while let Some(flat) = flats.next_if(|flat| time(*flat) <= view as f64) {
            keys.push(Key::Flat(flat));
        }
        keys.push(Key::View(view));
    }
    keys.extend(flats.map(Key::Flat));
    keys
}

/// All frames in order as one array; types that differ become f32.
fn frames_in_order(scan: &Scan, keys: &[Key]) -> AnyArray {
    fn gather<T: FileVoxel>(
        views: &Array3<T>,
        flats: Option<&Array3<T>>,
        darks: Option<&Array3<T>>,
        keys: &[Key],
    ) -> AnyArray {
        let (_, rows, cols) = views.dim();
        let mut all = Array3::<T>::from_elem((keys.len(), rows, cols), bytemuck::Zeroable::zeroed());
        for (mut to, key) in all.outer_iter_mut().zip(keys) {
            let (from, at) = match key {
                Key::View(at) => (Some(views), *at),
                Key::Flat(at) => (flats, *at),
                Key::Dark(at) => (darks, *at),
            };
            if let Some(from) = from {
                to.assign(&from.index_axis(Axis(0), at));
            }
        }
        T::wrap(all)
    }
    macro_rules! same_type {
        ($($variant:ident)*) => {
            match (&scan.projections, &scan.flats, &scan.darks) {
                $(
                    (AnyArray::$variant(v), None, None) => gather(v, None, None, keys),
                    (AnyArray::$variant(v), Some(AnyArray::$variant(f)), None) => gather(v, Some(f), None, keys),
                    (AnyArray::$variant(v), None, Some(AnyArray::$variant(d))) => gather(v, None, Some(d), keys),
                    (AnyArray::$variant(v), Some(AnyArray::$variant(f)), Some(AnyArray::$variant(d))) => {
                        gather(v, Some(f), Some(d), keys)
                    }
                )*
                (views, flats, darks) => {
                    let flats = flats.as_ref().map(AnyArray::to_f32);
                    let darks = darks.as_ref().map(AnyArray::to_f32);
                    gather(&views.to_f32(), flats.as_ref(), darks.as_ref(), keys)
                }
            }
        };
    }
    same_type!(U8 I8 U16 I16 U32 I32 F32 F64)
}

/// Writes a scan as NXtomo: one data set of all frames with `image_key`, angles, monitor, pixel size and energy.
///
/// Flats stand among the views by their times; reading gives the same scan back. All frames are
/// held twice while the file is laid out.
///
/// # Errors
/// [`IoError`] where the file cannot be created, or where frames differ in rows or columns.
pub fn write_scan(path: &Path, scan: &Scan, progress: &Progress) -> Result<(), IoError> {
    let [_, rows, cols] = scan.projections.shape();
    for frames in [&scan.flats, &scan.darks].into_iter().flatten() {
        if frames.shape()[1..] != [rows, cols] {
            return Err(IoError::scan(format!(
                "frames of {:?} do not fit projections of {rows} × {cols}",
                &frames.shape()[1..]
            )));
        }
    }
    progress.phase("Writing", 2);
    progress.check()?;
    let keys = frame_order(scan);
    let frames = frames_in_order(scan, &keys);
    progress.advance(1);
    progress.check()?;
    write_atomically(path, |temporary| {
        nxtomo(scan, &keys, &frames).write(temporary).map_err(|e| IoError::content(path, text(e)))
    })
}

/// One value a frame: that of the view, of the flat, or of the next view where there is none.
fn per_frame(keys: &[Key], views: &[f64], flats: &[f64]) -> Vec<f64> {
    let mut next = views.first().copied().unwrap_or(0.0);
    let mut values: Vec<f64> = Vec::with_capacity(keys.len());
    for key in keys {
        if let Key::View(at) = key {
            next = views.get(*at).copied().unwrap_or(next);
        }
        values.push(match key {
            Key::Flat(at) => flats.get(*at).copied().unwrap_or(next),
            Key::View(_) | Key::Dark(_) => next,
        });
    }
    values
}

fn write_pixel(scan: &Scan, group: &mut GroupBuilder) {
    let Some(pixel_um) = scan.pixel_um else { return };
    for name in ["x_pixel_size", "y_pixel_size"] {
        let size = group.create_dataset(name).with_f64_data(&[pixel_um]).with_shape(&[]);
        size.set_attr("units", string("um"));
    }
}

fn nxtomo(scan: &Scan, keys: &[Key], frames: &AnyArray) -> FileBuilder {
    fn values<T: FileVoxel + H5Element>(array: &Array3<T>, dataset: &mut hdf5_pure::DatasetBuilder) {
        dataset.with_data(array.as_slice().unwrap_or(&[]));
    }
    let shape = frames.shape();
    let n = keys.len() as u64;
    let mut file = FileBuilder::new();
    file.set_attr("default", string("entry"));
    let mut entry = file.create_group("entry");
    entry.set_attr("NX_class", string("NXentry"));
    entry.create_dataset("definition").with_vlen_strings(&["NXtomo"]).with_shape(&[]);
    if let Some(title) = scan.metadata.get("title") {
        entry.create_dataset("title").with_vlen_strings(&[title]).with_shape(&[]);
    }

    let mut instrument = entry.create_group("instrument");
    instrument.set_attr("NX_class", string("NXinstrument"));
    let mut detector = instrument.create_group("detector");
    detector.set_attr("NX_class", string("NXdetector"));
    let data = detector.create_dataset("data");
    with_array!(frames, array => values(array, data));
    data.with_shape(&shape.map(|n| n as u64)).with_chunks(&plane_chunks(shape));
    data.set_attr("unit", string(scan.unit.ascii()));
    let image_keys: Vec<i32> = keys
        .iter()
        .map(|key| match key {
            Key::View(_) => 0,
            Key::Flat(_) => 1,
            Key::Dark(_) => 2,
        })
        .collect();
    detector.create_dataset("image_key").with_i32_data(&image_keys).with_shape(&[n]);
    write_pixel(scan, &mut detector);
    if scan.exposure_s.len() == scan.n_views() {
        let times = per_frame(keys, &scan.exposure_s, &scan.flat_exposure_s);
        detector
            .create_dataset("count_time")
            .with_f64_data(&times)
            .with_shape(&[n])
            .set_attr("units", string("s"));
    }
    instrument.add_group(detector.finish());
    if let Some(energy_ev) = scan.energy_ev {
        let mut source = instrument.create_group("source");
        source.set_attr("NX_class", string("NXsource"));
        source
            .create_dataset("energy")
            .with_f64_data(&[energy_ev])
            .with_shape(&[])
            .set_attr("units", string("eV"));
        instrument.add_group(source.finish());
        // Readers of today look for it here, older ones at the source.
        let mut beam = instrument.create_group("beam");
        beam.set_attr("NX_class", string("NXbeam"));
        beam.create_dataset("incident_energy")
            .with_f64_data(&[energy_ev])
            .with_shape(&[])
            .set_attr("units", string("eV"));
        instrument.add_group(beam.finish());
    }
    entry.add_group(instrument.finish());

    let mut sample = entry.create_group("sample");
    sample.set_attr("NX_class", string("NXsample"));
    // The pixel at the sample: beside the detector for older readers, here for those of today.
    write_pixel(scan, &mut sample);
    let angles = per_frame(keys, &scan.angles_deg, &[]);
    sample
        .create_dataset("rotation_angle")
        .with_f64_data(&angles)
        .with_shape(&[n])
        .set_attr("units", string("degrees"));
    entry.add_group(sample.finish());

    if scan.beam.len() == scan.n_views() {
        let mut control = entry.create_group("control");
        control.set_attr("NX_class", string("NXmonitor"));
        let beam = per_frame(keys, &scan.beam, &scan.flat_beam);
        control.create_dataset("data").with_f64_data(&beam).with_shape(&[n]);
        entry.add_group(control.finish());
    }
    file.add_group(entry.finish());
    file
}
