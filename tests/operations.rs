//! What every operation of the registry promises, tried on a small demo cell: it can be cancelled,
//! it gives the same bits whatever the number of threads, and it refuses work beyond the budget.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::panic, reason = "a test says what is wrong")]

use std::sync::Arc;

use serde_json::{Value, json};
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::gpu::DeviceChoice;
use waterwindow::ops::recipe::bind;
use waterwindow::ops::{self, Context, Data, Inputs, LabelData, Op, OpError, Outcome};
use waterwindow::volume::{ClassTable, Labels, Landmark};

const SIZE: usize = 32;

fn context() -> Context {
    Context { progress: Progress::new(), budget: MemoryBudget::from_system(), device: DeviceChoice::Cpu }
}

/// A result as bytes.
fn bytes(data: &Data) -> Vec<u8> {
    let json = |value: serde_json::Result<Vec<u8>>| value.unwrap();
    match data {
        Data::Scan(scan) => {
            format!("{:?}{:?}{:?}", scan.projections, scan.flats, scan.angles_deg).into_bytes()
        }
        Data::Series(series) => bytemuck::cast_slice(series.data.as_slice().unwrap()).to_vec(),
        Data::Volume(volume) => bytemuck::cast_slice(volume.values()).to_vec(),
        Data::Regions(regions) => bytemuck::cast_slice(regions.values()).to_vec(),
        Data::Labels(labels) => bytemuck::cast_slice(labels.labels.to_dense().as_slice().unwrap()).to_vec(),
        Data::Alignment(alignment) => json(serde_json::to_vec(alignment.as_ref())),
        Data::Classifier(classifier) => json(serde_json::to_vec(classifier.as_ref())),
        Data::Table(table) => table.to_csv().into_bytes(),
        Data::Meshes(meshes) => format!("{meshes:?}").into_bytes(),
        Data::Landmarks(landmarks) => json(serde_json::to_vec(landmarks.as_ref())),
        Data::Transform(transform) => format!("{transform:?}").into_bytes(),
    }
}

/// Parameters that keep the work small.
fn params(op: &Op) -> Value {
    match op.id {
        "split" => json!({ "method": "shape" }),
        "clean" => json!({ "operation": "close", "radius_nm": 400.0 }),
        "threshold" => json!({ "method": "mixture", "classes": 3, "partial_volume": true }),
        "dual" => json!({ "quarter": 1 }),
        "calibrate" => json!({ "energy_ev": 520.0, "apply": true }),
        "crop" => json!({ "z": "3:20", "x": ":30" }),
        "filter" => json!({ "method": "non-local-means", "search": 2 }),
        "rescale" => json!({ "factor": 2.0, "voxel_um": 0.03 }),
        "reorient" => json!({ "order": "y-zx" }),
        "demo" => json!({ "size": SIZE, "views": 30, "jitter": 1.0 }),
        _ => Value::Null,
    }
}

/// Strokes on the true labels of the demo: every seventh voxel of the middle slice.
fn scribbles(pool: &[Data]) -> Data {
    let truth = pool.iter().find_map(|data| match data {
        Data::Labels(labels) => Some(labels),
        _ => None,
    });
    let truth = truth.unwrap();
    let mut strokes = Labels::new(truth.labels.shape());
    for y in (1..SIZE).step_by(2) {
        for x in (1..SIZE).step_by(3) {
            let at = [SIZE / 2, y, x];
            strokes.set(at, truth.labels.get(at) + 1);
        }
    }
    let classes = ClassTable::default().with_ids(strokes.ids());
    let LabelData { voxel_um, ratios, origin_um, .. } = **truth;
    Data::Labels(Arc::new(LabelData { labels: strokes, voxel_um, ratios, origin_um, classes }))
}

fn landmarks() -> Data {
    let points = [[0.0, 0.0, 0.0], [2.0, 0.0, 0.1], [0.0, 2.0, 0.0], [0.2, 0.1, 2.0], [1.0, 1.0, 0.5]];
    let pair = |(i, p): (usize, &[f64; 3])| Landmark {
        name: format!("pair {i}"),
        moving_um: *p,
        fixed_um: [p[0] + 0.3, p[1] - 0.2, p[2] + 0.1],
        used: true,
    };
    Data::Landmarks(Arc::new(points.iter().enumerate().map(pair).collect()))
}

fn inputs(op: &'static Op, pool: &[Data]) -> Inputs {
    let mut inputs = bind(op, pool);
    // What is put on another grid is chosen by a person: here all that there is.
    for slot in op.inputs.iter().filter(|slot| op.changes_grid() && slot.name != "mask") {
        let newest = pool.iter().rev().find(|data| data.kind() == slot.kind);
        if let Some(data) = newest.filter(|_| inputs.iter().all(|(name, _)| name != slot.name)) {
            inputs = inputs.with(slot.name, data.clone());
        }
    }
    for slot in op.inputs.iter().filter(|slot| !slot.optional) {
        assert!(inputs.iter().any(|(name, _)| name == slot.name), "{}: nothing for {}", op.id, slot.name);
    }
    inputs
}

fn run(op: &'static Op, inputs: &Inputs, threads: usize) -> Outcome {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| op.execute(&context(), inputs, &params(op)))
        .unwrap_or_else(|error| panic!("{}: {error}", op.id))
}

#[test]
fn every_operation_cancels_forecasts_and_does_not_depend_on_threads() {
    let mut pool = Vec::new();
    for op in ops::registry() {
        if op.id == "segment" || op.id == "carve" {
            let strokes = scribbles(&pool);
            pool.push(strokes);
        }
        if op.id == "correlate" {
            pool.push(landmarks());
        }
        let inputs = inputs(op, &pool);

        let cancelled = context();
        cancelled.progress.cancel();
        let result = op.execute(&cancelled, &inputs, &params(op));
        assert!(matches!(result, Err(OpError::Cancelled(_))), "{} does not cancel: {result:?}", op.id);

        let complete = op.complete(&params(op)).unwrap();
        let forecast = (op.forecast)(&inputs, &complete).unwrap();
        let tight = Context {
            progress: Progress::new(),
            budget: MemoryBudget::from_gib(1e-7),
            device: DeviceChoice::Cpu,
        };
        if forecast.bytes > 200 {
            let result = op.execute(&tight, &inputs, &params(op));
            assert!(matches!(result, Err(OpError::Memory(_))), "{} takes what it may not: {result:?}", op.id);
        }

        let one = run(op, &inputs, 1);
        let three = run(op, &inputs, 3);
        assert_eq!(one.notes, three.notes);
        let given = if op.changes_grid() { inputs.iter().count() } else { op.outputs.len() };
        assert_eq!(one.data.len(), given, "{}: outputs", op.id);
        for ((slot, a), (_, b)) in one.data.iter().zip(&three.data) {
            assert!(bytes(a) == bytes(b), "{}: {slot} depends on the number of threads", op.id);
        }
        // The uncertainty is a volume too, but no operation works on it; what lies on another grid fits nothing else.
        let useful = one.data.into_iter().filter(|(slot, _)| *slot != "uncertainty" && !op.changes_grid());
        pool.extend(useful.map(|(_, data)| data));
    }
}
