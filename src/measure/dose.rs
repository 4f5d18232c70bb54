//! What a scan costs a sample: dose, what is needed to see a detail, and what a sample stands.
//!
//! - Dose at the entrance of the sample: `D = (µ/ρ) F E`, F photons per µm² summed over the views.
//! - Photons needed to tell a detail of size d with contrast Δµ from its surroundings (Rose criterion, signal k times the
//!   noise): `N = 2 k² / (Δµ d)²` in each d × d at the detector, so that the fluence goes as d⁻⁴ (Howells and others 2009,
//!   doi:10.1016/j.elspec.2008.10.008); what the sample absorbs and the optics lose comes on top.
//! - Dose that features of size d stand: proportional to d in the same work. The constant often quoted with it, 1e8 Gy
//!   per nm, could not be verified, and is a parameter.
//! - Views that resolve d throughout a sample of thickness D: `π D / d` (Crowther and others 1970,
//!   doi:10.1098/rspa.1970.0119); the wanted fluence may be split over any number of views (Hegerl and Hoppe 1976).
//! - Electrons: MGy per e/Å² in ice, 3.71 at 300 kV and 4.42 at 200 kV.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::volume::{Cell, Column, Table};

/// Joule in an electron volt.
const JOULE_PER_EV: f64 = 1.602_176_634e-19;

/// Voltage of the electron microscope that the sample goes to afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Voltage {
    /// 300 kV.
    #[default]
    #[serde(rename = "300")]
    Kv300,
    /// 200 kV.
    #[serde(rename = "200")]
    Kv200,
}

impl Voltage {
    /// MGy in ice for an electron per Å².
    pub fn mgy_per_electron(self) -> f64 {
        match self {
            Self::Kv300 => 3.71,
            Self::Kv200 => 4.42,
        }
    }
}

/// What is known and what is wished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoseParams {
    /// Photon energy in eV, 100 to 10 000; that of the scan, else 520.
    pub energy_ev: Option<f64>,
    /// Photons per µm² on the sample in one view; from the counts of the scan where not given.
    pub fluence: Option<f64>,
    /// Views; those of the scan, else 1.
    pub views: Option<u32>,
    /// Size of the detail that is to be seen, in nm.
    pub resolution_nm: Option<f64>,
    /// Difference of its LAC from its surroundings, in 1/µm.
    pub contrast_per_um: f64,
    /// Thickness of the sample in µm: what it absorbs, and the views that are needed.
    pub thickness_um: Option<f64>,
    /// Share of the light that the sample absorbs, 0 to 1; from thickness and LAC, else from the scan, else 0.55.
    pub absorbed_fraction: Option<f64>,
    /// LAC of the sample in 1/µm.
    pub lac_per_um: f64,
    /// Density of the sample in g/cm³.
    pub density_g_per_cm3: f64,
    /// Share of the light behind the sample that is counted: zone plate and detector, above 0 to 1.
    pub efficiency: f64,
    /// Counts that a photon makes.
    pub counts_per_photon: f64,
    /// Signal to noise at which a detail counts as seen.
    pub rose: f64,
    /// Dose in Gy that a feature stands per nm of its size.
    pub tolerable_gy_per_nm: f64,
    /// Voltage of a later electron microscope, in kV.
    pub voltage_kv: Voltage,
    /// What that microscope may use, in electrons per Å².
    pub electron_budget: f64,
}

impl Default for DoseParams {
    fn default() -> Self {
        Self {
            energy_ev: None,
            fluence: None,
            views: None,
            resolution_nm: None,
            contrast_per_um: 0.05,
            thickness_um: None,
            absorbed_fraction: None,
            lac_per_um: 0.1,
            density_g_per_cm3: 0.94,
            efficiency: 1.0,
            counts_per_photon: 1.0,
            rose: 5.0,
            tolerable_gy_per_nm: 1e8,
            voltage_kv: Voltage::Kv300,
            electron_budget: 30.0,
        }
    }
}

/// What a scan tells of its light.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measured {
    /// Photon energy in eV.
    pub energy_ev: Option<f64>,
    /// Number of views.
    pub views: Option<u32>,
    /// Counts per pixel and view where there is no sample, dark level taken off, mean over the views.
    pub counts: Option<f64>,
    /// Pixel size at the sample in µm.
    pub pixel_um: Option<f64>,
    /// Share of the light that does not come through, mean over the views.
    pub absorbed_fraction: Option<f64>,
}

/// Why there is no dose.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DoseError {
    /// Nothing tells how much light there was.
    #[error(
        "nothing tells the light on the sample: give --fluence (photons per µm² and view), a scan with flats and a pixel size, or --resolution-nm to plan one"
    )]
    NoFluence,
    /// A number outside its range.
    #[error("{name} is {value}, it must be {range}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
}

/// What it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Dose {
    /// Photon energy in eV.
    pub energy_ev: f64,
    /// Views.
    pub views: u32,
    /// Photons per µm² on the sample, summed over the views.
    pub fluence_photons_per_um2: f64,
    /// Dose at the entrance of the sample, in MGy.
    pub dose_mgy: f64,
    /// What of it is left in the sample, in MGy.
    pub absorbed_mgy: f64,
    /// Share of the light that the sample absorbs.
    pub absorbed_fraction: f64,
    /// Electrons per Å² that give the same dose.
    pub electrons_per_a2: f64,
    /// Share of the budget of a later electron microscope that is used.
    pub electron_budget_share: f64,
    /// What the wished detail needs.
    pub plan: Option<DosePlan>,
    /// What was assumed.
    pub notes: Vec<String>,
}

/// What a detail needs and stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DosePlan {
    /// Size of the detail in nm.
    pub resolution_nm: f64,
    /// Photons per µm² on the sample, summed over the views, that show it.
    pub needed_photons_per_um2: f64,
    /// Dose of these at the entrance of the sample, in MGy.
    pub needed_mgy: f64,
    /// Dose that the detail stands, in MGy.
    pub tolerable_mgy: f64,
    /// Views that resolve it throughout the thickness over 180°; `None` where that is unknown.
    pub views: Option<u32>,
    /// Finest detail that is seen at the dose of the scan, in nm; `None` where no light is known.
    pub seen_nm: Option<f64>,
    /// Finest detail that both is seen and stands what is needed to see it, in nm.
    pub finest_nm: f64,
}

/// The dose of a scan, measured or planned.
///
/// Where no fluence is known but a resolution is wished, the fluence that it needs is taken.
///
/// # Errors
/// [`DoseError`].
pub fn dose(measured: &Measured, params: &DoseParams) -> Result<Dose, DoseError> {
    check(params)?;
    let mut notes = Vec::new();
    let energy_ev = params.energy_ev.or(measured.energy_ev).unwrap_or_else(|| {
        notes.push("The photon energy is not known; 520 eV is assumed".to_owned());
        520.0
    });
    let views = params.views.or(measured.views).unwrap_or(1);
    let absorbed_fraction = absorbed_fraction(measured, params, &mut notes);
    // Gy for a photon per µm²: µ/ρ in µm²/kg times J.
    let gy = params.lac_per_um / (params.density_g_per_cm3 * 1e-15) * energy_ev * JOULE_PER_EV;
    let behind = (1.0 - absorbed_fraction).max(1e-6) * params.efficiency;
    let needed = |nm: f64| {
        let um = nm * 1e-3;
        2.0 * params.rose.powi(2) / (params.contrast_per_um * um).powi(2) / um.powi(2) / behind
    };
    let given = params.fluence.or_else(|| from_counts(measured, params, &mut notes));
    let fluence = match (given, params.resolution_nm) {
        (Some(a_view), _) => a_view * f64::from(views),
        (None, Some(nm)) => {
            notes.push("No light is known; the fluence that the wished resolution needs is taken".to_owned());
            needed(nm)
        }
        (None, None) => return Err(DoseError::NoFluence),
    };
    let dose_mgy = gy * fluence * 1e-6;
    let electrons = dose_mgy / params.voltage_kv.mgy_per_electron();
    let plan = params.resolution_nm.map(|nm| DosePlan {
        resolution_nm: nm,
        needed_photons_per_um2: needed(nm),
        needed_mgy: needed(nm) * gy * 1e-6,
        tolerable_mgy: params.tolerable_gy_per_nm * nm * 1e-6,
        views: params.thickness_um.map(|um| (PI * um * 1e3 / nm).ceil() as u32),
        seen_nm: given.map(|_| (needed(1.0) / fluence).powf(0.25)),
        // needed(d) = needed(1) d⁻⁴ meets tolerable d.
        finest_nm: (needed(1.0) * gy / params.tolerable_gy_per_nm).powf(0.2),
    });
    if plan.is_some() {
        notes.push(
            "The tolerable dose per nm is a figure that is often quoted and could not be verified; set your own with --tolerable-gy-per-nm".to_owned(),
        );
    }
    Ok(Dose {
        energy_ev,
        views,
        fluence_photons_per_um2: fluence,
        dose_mgy,
        absorbed_mgy: dose_mgy * absorbed_fraction,
        absorbed_fraction,
        electrons_per_a2: electrons,
        electron_budget_share: electrons / params.electron_budget,
        plan,
        notes,
    })
}

fn check(params: &DoseParams) -> Result<(), DoseError> {
    let inside = |name, value: f64, low: f64, high: f64, range| {
        if value > low && value <= high { Ok(()) } else { Err(DoseError::Parameter { name, value, range }) }
    };
    let optional = |name, value: Option<f64>, low, high, range| {
        value.map_or(Ok(()), |value| inside(name, value, low, high, range))
    };
    optional("energy_ev", params.energy_ev.map(|e| e.max(0.0)), 99.0, 1e4, "100 to 10000 eV")?;
    optional("fluence", params.fluence, 0.0, 1e30, "above 0")?;
    optional("resolution_nm", params.resolution_nm, 0.0, 1e6, "above 0")?;
    optional("thickness_um", params.thickness_um, 0.0, 1e6, "above 0")?;
    optional("absorbed_fraction", params.absorbed_fraction, -1e-12, 1.0, "0 to 1")?;
    if params.views == Some(0) {
        return Err(DoseError::Parameter { name: "views", value: 0.0, range: "1 or more" });
    }
    for (name, value) in [
        ("contrast_per_um", params.contrast_per_um),
        ("lac_per_um", params.lac_per_um),
        ("density_g_per_cm3", params.density_g_per_cm3),
        ("counts_per_photon", params.counts_per_photon),
        ("rose", params.rose),
        ("tolerable_gy_per_nm", params.tolerable_gy_per_nm),
        ("electron_budget", params.electron_budget),
    ] {
        inside(name, value, 0.0, 1e30, "above 0")?;
    }
    inside("efficiency", params.efficiency, 0.0, 1.0, "above 0, at most 1")
}

fn absorbed_fraction(measured: &Measured, params: &DoseParams, notes: &mut Vec<String>) -> f64 {
    let of_thickness = params.thickness_um.map(|um| 1.0 - (-params.lac_per_um * um).exp());
    params.absorbed_fraction.or(of_thickness).or(measured.absorbed_fraction).unwrap_or_else(|| {
        notes.push("What the sample absorbs is not known; 55 % is assumed".to_owned());
        0.55
    })
}

/// Photons per µm² and view on the sample, from the counts where there is none.
fn from_counts(measured: &Measured, params: &DoseParams, notes: &mut Vec<String>) -> Option<f64> {
    let (counts, pixel) = (measured.counts?, measured.pixel_um?);
    notes.push(format!(
        "The light is told from {counts:.0} counts a pixel without sample, {} counts a photon and {:.0} % of the photons counted",
        params.counts_per_photon,
        params.efficiency * 100.0
    ));
    Some(counts / params.counts_per_photon / params.efficiency / (pixel * pixel))
}

impl Dose {
    /// Quantity, value, unit, a row each.
    pub fn table(&self) -> Table {
        let columns = ["quantity", "value", "unit"].map(|name| Column::new(name, ""));
        let row =
            |name: &str, value: f64, unit: &str| vec![Cell::from(name), Cell::from(value), Cell::from(unit)];
        let mut rows = vec![
            row("photon energy", self.energy_ev, "eV"),
            row("views", f64::from(self.views), ""),
            row("fluence, all views", self.fluence_photons_per_um2, "photons/µm²"),
            row("fluence a view", self.fluence_photons_per_um2 / f64::from(self.views), "photons/µm²"),
            row("dose at the entrance", self.dose_mgy, "MGy"),
            row("dose a view", self.dose_mgy / f64::from(self.views), "MGy"),
            row("absorbed by the sample", self.absorbed_fraction * 100.0, "%"),
            row("dose absorbed", self.absorbed_mgy, "MGy"),
            row("same dose in electrons", self.electrons_per_a2, "e/Å²"),
            row("share of the electron budget", self.electron_budget_share * 100.0, "%"),
        ];
        if let Some(plan) = &self.plan {
            rows.extend([
                row("wished detail", plan.resolution_nm, "nm"),
                row("fluence it needs", plan.needed_photons_per_um2, "photons/µm²"),
                row("dose it needs", plan.needed_mgy, "MGy"),
                row("dose it stands (unverified constant)", plan.tolerable_mgy, "MGy"),
                row("finest detail that stands what it needs", plan.finest_nm, "nm"),
            ]);
            rows.extend(plan.seen_nm.map(|nm| row("finest detail seen at the dose of the scan", nm, "nm")));
            rows.extend(plan.views.map(|n| row("views that resolve it over 180°", f64::from(n), "")));
        }
        Table { columns: columns.into(), rows, notes: self.notes.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_case_of_a_soft_x_ray_scan() {
        // 131 views of 6.7e7 photons/µm² at 520 eV: 0.88e10 in all, 76 to 78 MGy, about 42 MGy after absorption of 55 %.
        let params = DoseParams {
            energy_ev: Some(520.0),
            fluence: Some(6.7e7),
            views: Some(131),
            ..DoseParams::default()
        };
        let found = dose(&Measured::default(), &params).unwrap();
        assert!((found.fluence_photons_per_um2 / 0.88e10 - 1.0).abs() < 0.005);
        assert!((76.0..=78.0).contains(&found.dose_mgy), "{}", found.dose_mgy);
        assert!((found.absorbed_mgy - 42.0).abs() < 1.0, "{}", found.absorbed_mgy);
        // 30 electrons per Å² at 300 kV are 111 MGy, so this is 70 % of it.
        assert!((found.electron_budget_share - found.dose_mgy / 111.3).abs() < 1e-3);
    }

    #[test]
    fn protein_takes_84_kgy_for_a_photon_per_nm2() {
        // µ/ρ of protein at 520 eV from tabulated cross sections: 1007 m²/kg.
        let params = DoseParams {
            energy_ev: Some(520.0),
            fluence: Some(1e6),
            lac_per_um: 1.36,
            density_g_per_cm3: 1.35,
            ..DoseParams::default()
        };
        let found = dose(&Measured::default(), &params).unwrap();
        assert!((found.dose_mgy * 1e6 / 8.39e4 - 1.0).abs() < 0.005, "{}", found.dose_mgy);
    }

    #[test]
    fn a_detail_needs_the_fourth_power_of_its_inverse_size() {
        let at = |nm: f64| {
            let params = DoseParams {
                energy_ev: Some(520.0),
                resolution_nm: Some(nm),
                absorbed_fraction: Some(0.0),
                lac_per_um: 1.36,
                density_g_per_cm3: 1.35,
                thickness_um: Some(5.0),
                ..DoseParams::default()
            };
            dose(&Measured::default(), &params).unwrap()
        };
        let (fine, coarse) = (at(30.0), at(50.0));
        let plan = coarse.plan.as_ref().unwrap();
        // Rose: 2 · 25 / (0.05 · 0.05)² = 8e6 photons in each 50 nm × 50 nm, 3.2e9 per µm², 2.7e8 Gy in protein.
        assert!((plan.needed_photons_per_um2 / 3.2e9 - 1.0).abs() < 1e-9);
        assert!((plan.needed_mgy / 268.0 - 1.0).abs() < 0.01, "{}", plan.needed_mgy);
        assert_eq!(plan.views, Some(315), "π · 5 µm / 50 nm");
        let ratio = fine.plan.as_ref().unwrap().needed_mgy / plan.needed_mgy;
        assert!((ratio - (5.0f64 / 3.0).powi(4)).abs() < 1e-9);
        // The finest detail is where both lines meet.
        let finest = at(plan.finest_nm);
        let met = finest.plan.as_ref().unwrap();
        assert!((met.needed_mgy / met.tolerable_mgy - 1.0).abs() < 1e-9);
        assert_eq!(
            coarse.fluence_photons_per_um2, plan.needed_photons_per_um2,
            "planned where none is known"
        );
    }

    #[test]
    fn a_scan_tells_its_light_by_its_counts() {
        let measured = Measured {
            energy_ev: Some(510.0),
            views: Some(90),
            counts: Some(1000.0),
            pixel_um: Some(0.02),
            absorbed_fraction: Some(0.4),
        };
        let params = DoseParams { efficiency: 0.1, counts_per_photon: 2.0, ..DoseParams::default() };
        let found = dose(&measured, &params).unwrap();
        // 1000 counts are 500 photons, of 5000 on 0.0004 µm²: 1.25e7 per µm² and view.
        assert!((found.fluence_photons_per_um2 / (90.0 * 1.25e7) - 1.0).abs() < 1e-9);
        assert_eq!((found.energy_ev, found.absorbed_fraction), (510.0, 0.4));
        assert!(found.notes.iter().any(|note| note.contains("1000 counts")));
    }

    #[test]
    fn nonsense_is_refused() {
        let none = Measured::default();
        assert_eq!(dose(&none, &DoseParams::default()), Err(DoseError::NoFluence));
        let of = |change: fn(&mut DoseParams)| {
            let mut params = DoseParams { fluence: Some(1e7), ..DoseParams::default() };
            change(&mut params);
            dose(&none, &params).unwrap_err().to_string()
        };
        assert!(of(|p| p.fluence = Some(-1.0)).contains("fluence"));
        assert!(of(|p| p.energy_ev = Some(f64::NAN)).contains("energy_ev"));
        assert!(of(|p| p.efficiency = 0.0).contains("efficiency"));
        assert!(of(|p| p.views = Some(0)).contains("views"));
        assert!(of(|p| p.density_g_per_cm3 = f64::INFINITY).contains("density"));
    }
}
