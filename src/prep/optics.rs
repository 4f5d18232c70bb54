//! Deconvolution of views by what a zone plate does to them ([`Lens`]).

use ndarray::{Array3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};
use crate::kernels::fft2::filtered;
pub use crate::kernels::lens::Lens;
use crate::volume::TiltSeries;

/// Entries of the table of a transfer function.
const TABLE: usize = 512;
/// Light that comes through is not taken for less.
const LEAST: f32 = 1e-4;

/// What the user may choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeconvolveParams {
    /// Width of the outermost zone of the objective in nm, 5 to 500.
    pub zone_nm: f64,
    /// Photon energy in eV, 100 to 10 000; that of the series where not given, else 520.
    pub energy_ev: Option<f64>,
    /// Distance of the sample from focus in µm, -100 to 100: what lies there is made sharp.
    pub defocus_um: f64,
    /// Signal to noise that is hoped for, 1 to 10 000: larger sharpens more and brings out more noise.
    pub snr: f64,
}

impl Default for DeconvolveParams {
    fn default() -> Self {
        Self { zone_nm: 40.0, energy_ev: None, defocus_um: 0.0, snr: 20.0 }
    }
}

/// Why a series is not made sharper.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpticsError {
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The pixel size is not known.
    #[error("the pixel size is unknown: give it, a lens cannot be told without (--pixel-size)")]
    Pixel,
    /// A parameter outside its range.
    #[error("{name} is {value}, it must lie in {range}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A view that holds no numbers.
    #[error("view {0} holds a value that is not finite: normalise the scan again")]
    NotFinite(usize),
}

impl DeconvolveParams {
    /// The lens for a series.
    ///
    /// # Errors
    /// [`OpticsError::Parameter`].
    pub fn lens(&self, series_ev: Option<f64>) -> Result<Lens, OpticsError> {
        let check = |name, value: f64, low: f64, high: f64, range| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(OpticsError::Parameter { name, value, range })
            }
        };
        let energy = self.energy_ev.or(series_ev).unwrap_or(520.0);
        check("zone_nm", self.zone_nm, 5.0, 500.0, "5..=500")?;
        check("energy_ev", energy, 100.0, 1e4, "100..=10000")?;
        check("defocus_um", self.defocus_um, -100.0, 100.0, "-100..=100")?;
        check("snr", self.snr, 1.0, 1e4, "1..=10000")?;
        Ok(Lens::new(self.zone_nm, energy))
    }
}

/// Wiener deconvolution of every view of an absorbance series by what the lens does at some distances from focus (their mean
/// where there are several, as in a mean of a focal series).
///
/// The light is what a lens blurs, so views are taken back to transmission and forth again.
///
/// # Errors
/// [`OpticsError`].
pub fn deconvolve(
    progress: &Progress,
    series: &TiltSeries,
    defocus_um: &[f64],
    params: &DeconvolveParams,
) -> Result<TiltSeries, OpticsError> {
    let lens = params.lens(series.energy_ev)?;
    let pixel_um = series.pixel_um.filter(|um| *um > 0.0).ok_or(OpticsError::Pixel)?;
    // Half the diagonal of the square of frequencies that pixels can hold.
    let highest = std::f64::consts::FRAC_1_SQRT_2 / pixel_um;
    let table: Vec<f64> = (0..=TABLE)
        .map(|i| {
            let frequency = highest * i as f64 / TABLE as f64;
            let all = defocus_um.iter().map(|z| lens.transfer(frequency, *z));
            let h = all.sum::<f64>() / defocus_um.len().max(1) as f64;
            h / (h * h + 1.0 / params.snr) * (1.0 + 1.0 / params.snr)
        })
        .collect();
    let gain = |fy: f64, fx: f64| {
        let at = (fy.hypot(fx) / pixel_um / highest * TABLE as f64).min(TABLE as f64 - 1e-9);
        let (low, t) = (at.floor(), at.fract());
        let i = low as usize;
        table[i] * (1.0 - t) + table[i + 1] * t
    };
    progress.phase("Deconvolving", series.n_views() as u64);
    let mut data = Array3::zeros(series.data.raw_dim());
    data.axis_iter_mut(Axis(0)).into_par_iter().enumerate().try_for_each(|(view, mut out)| {
        progress.check()?;
        let light = series.data.index_axis(Axis(0), view).mapv(|absorbance| (-absorbance).exp());
        if light.iter().any(|value| !value.is_finite()) {
            return Err(OpticsError::NotFinite(view));
        }
        let sharp = filtered(light.view(), gain);
        out.zip_mut_with(&sharp, |out, light| *out = -light.max(LEAST).ln());
        progress.advance(1);
        Ok(())
    })?;
    Ok(TiltSeries { data, ..series.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_lens_blurred_is_nearer_to_the_truth_afterwards() {
        let (pixel, z) = (0.015, 1.5);
        let lens = Lens::new(40.0, 520.0);
        let truth = Array3::from_shape_fn((1, 96, 96), |(_, y, x)| {
            let disc = |cy: f64, cx: f64, r: f64| {
                if (y as f64 - cy).hypot(x as f64 - cx) < r { 1.0f32 } else { 0.0 }
            };
            0.2 + 0.6 * disc(40.0, 40.0, 9.0) + 0.4 * disc(60.0, 64.0, 5.0)
        });
        let blur = |fy: f64, fx: f64| lens.transfer(fy.hypot(fx) / pixel, z);
        let light = truth.index_axis(Axis(0), 0).mapv(|a: f32| (-a).exp());
        let seen = filtered(light.view(), blur).mapv(|t| -t.max(LEAST).ln()).insert_axis(Axis(0));
        let series =
            TiltSeries { data: seen, angles_deg: vec![0.0], pixel_um: Some(pixel), energy_ev: Some(520.0) };
        let params = DeconvolveParams { snr: 200.0, ..DeconvolveParams::default() };
        let sharp = deconvolve(&Progress::new(), &series, &[z], &params).unwrap();
        let error = |data: &Array3<f32>| {
            data.iter().zip(&truth).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
        };
        assert!(
            error(&sharp.data) < 0.7 * error(&series.data),
            "{} {}",
            error(&sharp.data),
            error(&series.data)
        );
        // The light as a whole is kept.
        let mean = |data: &Array3<f32>| data.mapv(|a| (-a).exp()).mean().unwrap();
        assert!((mean(&sharp.data) / mean(&series.data) - 1.0).abs() < 2e-3);

        let unknown = TiltSeries { pixel_um: None, ..series.clone() };
        assert_eq!(deconvolve(&Progress::new(), &unknown, &[z], &params), Err(OpticsError::Pixel));
        let wild = DeconvolveParams { snr: 0.0, ..params };
        assert!(matches!(
            deconvolve(&Progress::new(), &series, &[z], &wild),
            Err(OpticsError::Parameter { name: "snr", .. })
        ));
    }
}
