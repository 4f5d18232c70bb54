//! The one registry: every operation of the program once, with typed parameters, inputs and outputs.
//!
//! The form in the window, the subcommand's options, the docs page, the provenance record and the
//! recipe step all come from the entry of an operation. An operation is a file here that names its
//! [`Op`], and one line in [`registry`]; the method itself lives on a floor below and knows nothing
//! of this.

mod align;
mod bin;
mod calculate;
mod calibrate;
mod carve;
pub mod chain;
mod clean;
mod components;
mod correlate;
mod crop;
pub mod data;
mod deconvolve;
mod demo;
pub mod docs;
pub mod dose;
mod dual;
mod filter;
mod focal;
mod fsc;
pub mod grid;
mod ids;
mod interpolate;
mod measure;
mod mesh;
mod noise;
mod normalize;
pub mod op;
pub mod param;
mod predict;
pub mod recipe;
mod reconstruct;
mod regrid;
mod reorient;
mod resample;
mod rescale;
mod residual;
pub mod segment;
mod split;
pub mod stitch;
mod supervoxels;
mod surface;
mod threshold;
mod watershed;

pub use data::{Data, Inputs, Kind, LabelData};
pub use op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Provenance, Stage};
pub use param::{Choice, Param, ParamKind};

/// Every operation, in the order of the work: one line each.
#[rustfmt::skip]
static REGISTRY: &[&Op] = &[
    &demo::OP,
    &dose::OP,
    &normalize::OP,
    &deconvolve::OP,
    &focal::OP,
    &align::OP,
    &reconstruct::OP,
    &calibrate::OP,
    &dual::OP,
    &crop::OP,
    &bin::OP,
    &reorient::OP,
    &rescale::OP,
    &filter::OP,
    &calculate::OP,
    &fsc::OP,
    &noise::OP,
    &residual::OP,
    &threshold::OP,
    &watershed::OP,
    &surface::OP,
    &supervoxels::OP,
    &segment::OP,
    &predict::OP,
    &carve::OP,
    &interpolate::OP,
    &clean::OP,
    &split::OP,
    &components::OP,
    &resample::OP,
    &measure::OP,
    &mesh::OP,
    &correlate::OP,
    &stitch::OP,
];

/// Every operation, in the order of the work.
pub fn registry() -> &'static [&'static Op] {
    REGISTRY
}

/// The operation with this id.
pub fn find(id: &str) -> Option<&'static Op> {
    registry().iter().copied().find(|op| op.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_agrees_with_its_parameters() {
        for op in registry() {
            op.check().unwrap_or_else(|problem| panic!("{}: {problem}", op.id));
        }
    }

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<_> = registry().iter().map(|op| op.id).collect();
        ids.sort_unstable();
        let n = ids.len();
        ids.dedup();
        assert_eq!(n, ids.len());
    }
}
