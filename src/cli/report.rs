//! The report page of a reconstruction.

use std::path::Path;

use serde_json::{Value, json};

use super::segment::read_volume;
use super::shell::Shell;
use crate::io::{self, Report};
use crate::measure::fsc::Curve;
use crate::ops::chain::Prepared;
use crate::ops::{self, Data, Inputs};

/// Reconstructs the halves, compares them, and writes what there is to say about the volume in `volume_file`.
pub(super) fn write(
    shell: &Shell,
    prepared: &Prepared,
    params: &Value,
    volume_file: &Path,
    file: &Path,
) -> anyhow::Result<()> {
    let ([even, odd], _) = shell.run(|context| prepared.halves(context, params))?;
    let inputs = Inputs::default().with("even", Data::Volume(even)).with("odd", Data::Volume(odd));
    let outcome = |id: &str| shell.execute(super::options::op(id), &inputs, &json!({}));
    let (curve, noise) = (outcome("fsc")?, outcome("noise")?);
    let curve = match curve.get("FSC") {
        Some(Data::Table(table)) => Curve::of_table(table),
        _ => None,
    };
    let noise = match noise.get("noise") {
        Some(Data::Volume(map)) => Some(map),
        _ => None,
    };
    drop(inputs);
    let op = super::options::op("reconstruct");
    let volume = read_volume(shell, volume_file)?;
    let title = volume_file.file_name().unwrap_or_default().to_string_lossy();
    let report = Report {
        title: &title,
        facts: &ops::op::facts(op, params),
        volume: &volume,
        series: Some(&prepared.series),
        alignment: Some(&prepared.alignment),
        curve: curve.as_ref(),
        noise: noise.map(|map| &**map),
        notes: &prepared.notes,
    };
    io::write_text(file, &report.html())?;
    Ok(())
}
