//! A graphics card beside the processor in one run: seconds, updates a second, and how far apart the results are.
//!
//! `cargo bench --bench reconstruction -- --card [--size N] [--thickness N] [--rows N] [--views N] [--sweeps N] [--rounds N] [--software]`.

use std::time::Instant;

use ndarray::Array3;
use waterwindow::base::{MemoryBudget, Progress};
use waterwindow::gpu::{DeviceChoice, Gpu};
use waterwindow::recon::{Method, ReconstructParams, Sample, reconstruct_rows_on};
use waterwindow::volume::{Alignment, TiltSeries};

/// Seconds and the volume; the best of `rounds` runs.
fn best(
    gpu: Option<&Gpu>,
    series: &TiltSeries,
    params: &ReconstructParams,
    rounds: usize,
) -> Option<(f64, Array3<f32>)> {
    let alignment = Alignment::identity(&series.angles_deg);
    let budget = MemoryBudget::from_gib(64.0);
    let run = || {
        let begun = Instant::now();
        let rows = params.rows(series.n_rows());
        let (volume, report) =
            reconstruct_rows_on(&Progress::new(), gpu, series, &alignment, params, budget, rows).ok()?;
        (report.device.is_some() == gpu.is_some()).then(|| (begun.elapsed().as_secs_f64(), volume.data))
    };
    (0..rounds.max(1)).filter_map(|_| run()).min_by(|a, b| a.0.total_cmp(&b.0))
}

/// Runs everything and prints it.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) fn card(args: &[String]) {
    let number = |name: &str, default: usize| {
        let value = args.iter().position(|a| a == name).and_then(|i| args.get(i + 1));
        value.and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    let choice = if args.iter().any(|a| a == "--software") { DeviceChoice::Gpu } else { DeviceChoice::Auto };
    let gpu = match Gpu::to_compute_on(choice) {
        Ok(Some(gpu)) => gpu,
        Ok(None) => {
            return println!("skipped: there is no graphics card (--software takes a software driver)");
        }
        Err(error) => return println!("skipped: {error}"),
    };
    let (size, n_views) = (number("--size", 1024), number("--views", 131));
    let (rows, rounds) = (number("--rows", size), number("--rounds", 2));
    let thickness = number("--thickness", size / 2);
    let angles_deg: Vec<f64> =
        (0..n_views).map(|v| 130.0 * v as f64 / (n_views.max(2) - 1) as f64 - 65.0).collect();
    let data = Array3::from_shape_fn((n_views, rows, size), |(v, y, x)| {
        let d = (x as f32 - size as f32 / 2.0) / (0.4 * size as f32);
        (1.0 - d * d).max(0.0).sqrt() * (1.0 + ((v * 7 + y * 13 + x * 5) % 11) as f32 * 0.01)
    });
    let series = TiltSeries { data, angles_deg, pixel_um: Some(0.03), energy_ev: Some(520.0) };
    let base = ReconstructParams {
        thickness: Some(thickness),
        sample: Sample::Inside,
        ..ReconstructParams::default()
    };
    let sweeps = number("--sweeps", 30) as u32;
    let sirt = ReconstructParams { method: Method::Sirt, iterations: Some(sweeps), ..base.clone() };
    let once = (size * thickness * n_views * rows) as f64;
    println!(
        "{} ({}), {rows} rows of {size} from {n_views} views, {thickness} deep",
        gpu.info.name, gpu.info.driver
    );
    for (name, params, updates) in [
        ("FBP".to_owned(), base, once),
        (format!("SIRT, {sweeps} sweeps"), sirt, 2.0 * once * f64::from(sweeps)),
    ] {
        let on_card = best(Some(gpu), &series, &params, rounds);
        let alone = best(None, &series, &params, 1);
        for (device, found) in [("card", &on_card), ("processor", &alone)] {
            match found {
                Some((seconds, _)) => {
                    println!(
                        "{name:20} {device:10} {seconds:8.2} s {:8.2} G updates/s",
                        updates / seconds / 1e9
                    );
                }
                None => println!("{name:20} {device:10} not done"),
            }
        }
        if let (Some((_, a)), Some((_, b))) = (&on_card, &alone) {
            let range = b.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[l, h], v| [l.min(*v), h.max(*v)]);
            let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{name:20} apart by {:.1e} of range", worst / (range[1] - range[0]));
        }
    }
}
