//! What the user may choose.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::ReconError;
use crate::kernels::filter::Window;

/// How the volume is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Filtered (weighted) back-projection: quick.
    #[default]
    Fbp,
    /// Simultaneous iterative reconstruction: quiet, quantitative on limited tilt, slow.
    Sirt,
    /// Conjugate gradients on the least squares: as good as SIRT in a tenth of the sweeps, stopped where noise begins.
    Cgls,
    /// Total variation: quiet within organelles, edges kept, slow.
    Tv,
}

/// What each ray counts in the least squares of CGLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// All alike.
    #[default]
    Equal,
    /// By the photons that it stands for: exp(-absorbance), the inverse variance of their noise.
    Photons,
}

/// Whether the sample reaches beyond the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sample {
    /// Judged by how much the outermost columns absorb.
    #[default]
    Auto,
    /// The sample lies inside the detector in every view: nothing is beyond.
    Inside,
    /// The sample goes on: what is beyond the detector is unknown, not empty.
    Beyond,
}

/// Which views take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Half {
    /// All that the alignment uses.
    #[default]
    All,
    /// Every other used view, from the first.
    Even,
    /// Every other used view, from the second.
    Odd,
}

/// Where the sample can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mask {
    /// Anywhere in the result.
    #[default]
    None,
    /// In a slab across the beam at 0°: a flat grid.
    Slab,
    /// In a cylinder around the rotation axis: a capillary.
    Capillary,
}

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconstructParams {
    /// How the volume is found.
    pub method: Method,
    /// Window on the ramp filter of FBP.
    pub filter: Window,
    /// Where the window of FBP ends, as a fraction of the highest frequency, 0.05 to 1.
    pub cutoff: f64,
    /// Steepness of the Butterworth window, 1 to 20.
    pub order: u32,
    /// Sweeps of SIRT (of the SIRT that the sirt-like filter stands for) and of total variation over all views, the most steps of CGLS, 1 to 10000; by method and tilt
    /// where not given.
    pub iterations: Option<u32>,
    /// Groups of interleaved views after each of which SIRT and total variation update the volume, 1 to 64; more groups converge
    /// faster. Where not given 5, for SIRT on limited tilt 10.
    pub subsets: Option<u32>,
    /// Step of SIRT, above 0 and below 2.
    pub relaxation: f32,
    /// Whether SIRT keeps every voxel at zero or above.
    pub nonnegative: bool,
    /// What each ray counts in CGLS.
    pub weights: Weighting,
    /// Width of the outermost zone of the objective in nm, 5 to 500: CGLS then takes into account that what is out of focus is
    /// seen blurred; nothing is blurred where not given.
    pub zone_nm: Option<f64>,
    /// How far along the beam from the rotation axis the microscope was focused, in µm.
    pub focus_um: f64,
    /// Weight of total variation in multiples of the noise found in the views, 0.01 to 100.
    pub strength: f64,
    /// Least absorption inside the sample in 1/µm (1/voxel where the pixel size is unknown), for SIRT and total variation; 0 or
    /// none (`nonnegative`) where not given.
    pub minimum: Option<f64>,
    /// Where the sample can be; SIRT, CGLS and total variation find nothing elsewhere.
    pub mask: Mask,
    /// Thickness of the slab or radius of the capillary in µm (voxels where the pixel size is unknown); found where not given.
    pub mask_size: Option<f64>,
    /// How far along the beam from the rotation axis the middle of a slab of given thickness lies, in µm.
    pub mask_offset: f64,
    /// Voxels of the result along the beam; as many as columns where not given.
    pub thickness: Option<usize>,
    /// Pixels averaged along each side before anything else, 1 to 16.
    pub bin: u32,
    /// Column of the rotation axis in unbinned pixels, before the shifts of the alignment; the middle where not given.
    pub center: Option<f64>,
    /// Whether the sample reaches beyond the detector.
    pub sample: Sample,
    /// Which views take part.
    pub half: Half,
    /// First row of the result, from 0; row 0 where not given.
    pub first_row: Option<usize>,
    /// Row after the last of the result; all that there are where not given.
    pub end_row: Option<usize>,
}

impl Default for ReconstructParams {
    fn default() -> Self {
        Self {
            method: Method::Fbp,
            filter: Window::Hann,
            cutoff: 1.0,
            order: 4,
            iterations: None,
            subsets: None,
            relaxation: 1.0,
            nonnegative: true,
            weights: Weighting::Equal,
            zone_nm: None,
            focus_um: 0.0,
            strength: 1.0,
            minimum: None,
            mask: Mask::None,
            mask_size: None,
            mask_offset: 0.0,
            thickness: None,
            bin: 1,
            center: None,
            sample: Sample::Auto,
            half: Half::All,
            first_row: None,
            end_row: None,
        }
    }
}

impl ReconstructParams {
    /// The rows of the result that are wanted, of a series of `series_rows` unbinned rows.
    pub fn rows(&self, series_rows: usize) -> Range<usize> {
        let n_rows = series_rows / self.bin.max(1) as usize;
        self.first_row.unwrap_or(0)..self.end_row.unwrap_or(n_rows)
    }

    /// Sweeps over all views of an iterative method; for CGLS the most steps.
    pub fn sweeps(&self, limited_tilt: bool) -> u32 {
        self.iterations.unwrap_or(match (self.method, limited_tilt) {
            (Method::Cgls, _) => 50,
            (Method::Tv, false) => 12,
            (Method::Tv, true) => 40,
            (Method::Fbp | Method::Sirt, _) => 20,
        })
    }

    /// Groups of views of an iterative method.
    pub fn subsets(&self) -> usize {
        let default = if self.method == Method::Sirt { 10 } else { 5 };
        self.subsets.unwrap_or(default) as usize
    }

    /// The least value of a voxel, in voxels, where a result is `per_voxel` times that.
    pub(super) fn floor(&self, per_voxel: f32) -> f32 {
        match self.minimum {
            Some(minimum) => minimum as f32 / per_voxel,
            None if self.nonnegative => 0.0,
            None => f32::NEG_INFINITY,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ReconError> {
        let check = |ok: bool, name: &'static str, value: String, range: &'static str| {
            if ok { Ok(()) } else { Err(ReconError::Parameter { name, value, range }) }
        };
        check((0.05..=1.0).contains(&self.cutoff), "cutoff", self.cutoff.to_string(), "0.05..=1")?;
        check((1..=20).contains(&self.order), "order", self.order.to_string(), "1..=20")?;
        check(
            (1..=10_000).contains(&self.iterations.unwrap_or(1)),
            "iterations",
            self.iterations.unwrap_or(1).to_string(),
            "1..=10000",
        )?;
        let subsets = self.subsets.unwrap_or(1);
        check((1..=64).contains(&subsets), "subsets", subsets.to_string(), "1..=64")?;
        check((0.01..=100.0).contains(&self.strength), "strength", self.strength.to_string(), "0.01..=100")?;
        let minimum = self.minimum.unwrap_or(0.0);
        check((0.0..=100.0).contains(&minimum), "minimum", minimum.to_string(), "0..=100")?;
        let size = self.mask_size.unwrap_or(1.0);
        check(size > 0.0 && size <= 1.0e5, "mask_size", size.to_string(), "above 0, up to 100000")?;
        let offset = self.mask_offset;
        check(offset.abs() <= 1.0e5, "mask_offset", offset.to_string(), "±100000")?;
        let step = self.relaxation;
        check(step > 0.0 && step < 2.0, "relaxation", step.to_string(), "0 to 2, both excluded")?;
        let zone = self.zone_nm.unwrap_or(40.0);
        check((5.0..=500.0).contains(&zone), "zone_nm", zone.to_string(), "5..=500")?;
        check(self.focus_um.abs() <= 100.0, "focus_um", self.focus_um.to_string(), "±100")?;
        check((1..=16).contains(&self.bin), "bin", self.bin.to_string(), "1..=16")?;
        let thickness = self.thickness.unwrap_or(1);
        check((1..=65_536).contains(&thickness), "thickness", thickness.to_string(), "1..=65536")?;
        let center = self.center.unwrap_or(0.0);
        check(center.abs() < 1.0e6, "center", center.to_string(), "±1000000")
    }
}
