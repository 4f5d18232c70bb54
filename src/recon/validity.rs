//! How far the absorption values of a reconstruction can be trusted, said before anybody measures in it.

use serde::{Deserialize, Serialize};

use super::input::tilt_range;
use super::{Mask, Method, ReconstructParams};
use crate::kernels::filter::Window;

/// How far values can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Means of organelles are right within the noise.
    Quantitative,
    /// Means are near the truth, but a missing wedge or a regularisation is in them.
    Approximate,
    /// Values show contrast and are no absorption coefficients.
    NotQuantitative,
}

/// How far values can be trusted, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// How far.
    pub level: Trust,
    /// Why, part of a sentence; empty where nothing speaks against them.
    pub reason: String,
}

impl Validity {
    /// As the metadata of a file say it: "not quantitative: filtered back-projection, tilts of at most 65 degrees…"; ASCII, for formats that hold no more.
    pub fn text(&self) -> String {
        let level = match self.level {
            Trust::Quantitative => "quantitative",
            Trust::Approximate => "approximate",
            Trust::NotQuantitative => "not quantitative",
        };
        if self.reason.is_empty() { level.to_owned() } else { format!("{level}: {}", self.reason) }
    }
}

/// Sweeps of plain SIRT after which small and dense things have reached their values.
const ENOUGH_SWEEPS: u32 = 100;

/// How far the values of a reconstruction from views at these angles can be trusted.
pub fn validity(params: &ReconstructParams, angles_deg: &[f64], has_pixel_size: bool) -> Validity {
    let (tilt, full) = tilt_range(angles_deg);
    let new = |level, reason: String| Validity { level, reason };
    let wedge = format!(
        "tilts of at most {tilt:.0} degrees, {:.0} % of the directions missing",
        100.0 * (1.0 - tilt / 90.0)
    );
    if !has_pixel_size {
        return new(Trust::NotQuantitative, "the pixel size is unknown".to_owned());
    }
    if params.method == Method::Fbp && !full {
        return new(Trust::NotQuantitative, format!("filtered back-projection, {wedge}"));
    }
    if params.method == Method::Fbp && params.filter == Window::SirtLike {
        return new(Trust::Approximate, "a filter that damps low frequencies as short SIRT does".to_owned());
    }
    if params.method == Method::Sirt {
        let sweeps = params.sweeps(!full).saturating_mul(params.subsets() as u32);
        if sweeps < ENOUGH_SWEEPS {
            let reason =
                format!("{sweeps} sweeps of SIRT (those of subsets counted singly), below {ENOUGH_SWEEPS}");
            return new(Trust::NotQuantitative, reason);
        }
    }
    if !full && params.thickness.is_none() && params.mask == Mask::None {
        let reason = format!(
            "{wedge}, and nothing bounds the sample along the beam: give its thickness, or a slab as mask"
        );
        return new(Trust::NotQuantitative, reason);
    }
    if !full {
        return new(
            Trust::Approximate,
            format!("{wedge}; means of a cell read some 5 to 15 % low, of small dense droplets more"),
        );
    }
    new(Trust::Quantitative, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_tilt_fbp_and_short_sirt_are_flagged() {
        let full: Vec<f64> = (0..180).map(f64::from).collect();
        let grid: Vec<f64> = (-65..=65).map(f64::from).collect();
        let with =
            |method, iterations| ReconstructParams { method, iterations, ..ReconstructParams::default() };
        let level = |params: &ReconstructParams, angles: &[f64]| validity(params, angles, true).level;
        assert_eq!(level(&with(Method::Fbp, None), &full), Trust::Quantitative);
        assert_eq!(level(&with(Method::Fbp, None), &grid), Trust::NotQuantitative);
        assert_eq!(level(&with(Method::Sirt, Some(5)), &full), Trust::NotQuantitative);
        // The defaults make enough sweeps.
        assert_eq!(level(&with(Method::Sirt, None), &full), Trust::Quantitative);
        for method in [Method::Sirt, Method::Cgls, Method::Tv] {
            assert_eq!(level(&with(method, None), &grid), Trust::NotQuantitative);
            let thin = ReconstructParams { thickness: Some(100), ..with(method, None) };
            assert_eq!(level(&thin, &grid), Trust::Approximate);
            let slab = ReconstructParams { mask: Mask::Slab, ..with(method, None) };
            assert_eq!(level(&slab, &grid), Trust::Approximate);
        }
        let text = validity(&with(Method::Fbp, None), &grid, true).text();
        assert!(
            text.contains("filtered back-projection, tilts of at most 65 degrees, 28 %") && text.is_ascii(),
            "{text}"
        );
        assert_eq!(validity(&with(Method::Sirt, None), &full, false).level, Trust::NotQuantitative);
    }
}
