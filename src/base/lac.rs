//! Linear absorption coefficients (LAC) of what soft X-ray samples are made of, by photon energy.
//!
//! `µ = ρ N_A / M · Σ n_i σ_i` with `σ = 2 r_e λ f₂`, and f₂ of the elements from B. L. Henke, E. M. Gullikson and J. C. Davis, X-ray
//! interactions: photoabsorption, scattering, transmission and reflection at E = 50-30000 eV, Z = 1-92, At. Data Nucl. Data
//! Tables 54, 181 (1993), doi:10.1006/adnd.1993.1013, as tabulated by the Center for X-Ray Optics, Lawrence Berkeley
//! National Laboratory. Every second energy is kept, with both sides of each edge; interpolation in both logarithms is
//! within 0.3 % of those left out. The table holds from 272.5 to 543 eV, so the water window and a little below.

use serde::{Deserialize, Serialize};

/// Energies of the table in eV.
const ENERGIES_EV: [f64; 28] = [
    272.549, 281.437, 284.1, 284.3, 290.615, 300.092, 309.878, 319.983, 330.418, 341.192, 352.319, 363.808,
    375.672, 387.922, 400.573, 409.8, 410.0, 420.326, 434.032, 448.186, 462.802, 477.894, 493.478, 509.57,
    517.812, 526.187, 534.698, 543.0,
];

/// An element: its molar mass in g/mol and f₂ at [`ENERGIES_EV`].
struct Element {
    molar_mass: f64,
    f2: [f64; N_ENERGIES],
}

const N_ENERGIES: usize = ENERGIES_EV.len();

static HYDROGEN: Element = Element {
    molar_mass: 1.008,
    f2: [
        0.003172, 0.002956, 0.002896, 0.002891, 0.002755, 0.002568, 0.002392, 0.002224, 0.002068, 0.001922,
        0.001787, 0.001661, 0.001544, 0.001435, 0.001334, 0.001267, 0.001265, 0.001195, 0.001111, 0.001033,
        0.0009601, 0.0008924, 0.0008295, 0.0007711, 0.0007434, 0.0007167, 0.000691, 0.0006672,
    ],
};
static CARBON: Element = Element {
    molar_mass: 12.011,
    f2: [
        0.1612, 0.1494, 0.1462, 4.189, 4.078, 3.921, 3.771, 3.626, 3.487, 3.353, 3.224, 3.101, 2.982, 2.848,
        2.716, 2.626, 2.625, 2.53, 2.413, 2.301, 2.194, 2.093, 1.994, 1.899, 1.853, 1.808, 1.764, 1.723,
    ],
};
static NITROGEN: Element = Element {
    molar_mass: 14.007,
    f2: [
        0.3566, 0.3387, 0.3336, 0.3332, 0.3216, 0.3054, 0.29, 0.2711, 0.2524, 0.235, 0.2187, 0.2036, 0.1898,
        0.1769, 0.1649, 0.1569, 4.191, 4.057, 3.889, 3.728, 3.574, 3.426, 3.285, 3.149, 3.083, 3.019, 2.956,
        2.897,
    ],
};
static OXYGEN: Element = Element {
    molar_mass: 15.999,
    f2: [
        0.6516, 0.6214, 0.6126, 0.612, 0.5921, 0.5642, 0.5376, 0.5123, 0.4882, 0.4652, 0.4432, 0.4224,
        0.4025, 0.3834, 0.3647, 0.352, 0.3517, 0.3383, 0.3218, 0.3061, 0.2912, 0.277, 0.2635, 0.2507, 0.2445,
        0.2385, 0.2327, 0.2272,
    ],
};
static SILICON: Element = Element {
    molar_mass: 28.085,
    f2: [
        7.084, 6.863, 6.799, 6.794, 6.649, 6.437, 6.217, 6.004, 5.799, 5.6, 5.408, 5.223, 5.003, 4.784,
        4.575, 4.432, 4.429, 4.278, 4.091, 3.912, 3.739, 3.563, 3.395, 3.234, 3.157, 3.081, 3.008, 2.938,
    ],
};
static SULPHUR: Element = Element {
    molar_mass: 32.06,
    f2: [
        10.1, 9.971, 9.892, 9.887, 9.7, 9.431, 9.169, 8.914, 8.667, 8.426, 8.192, 7.964, 7.743, 7.525, 7.277,
        7.086, 7.082, 6.879, 6.625, 6.38, 6.128, 5.877, 5.637, 5.407, 5.295, 5.186, 5.08, 4.98,
    ],
};
static GOLD: Element = Element {
    molar_mass: 196.967,
    f2: [
        19.12, 19.95, 20.17, 20.19, 20.74, 21.56, 22.41, 23.16, 23.91, 24.69, 25.49, 26.0, 26.51, 27.04,
        27.57, 27.82, 27.82, 28.05, 28.33, 28.63, 28.83, 29.0, 29.17, 29.34, 29.42, 29.49, 29.56, 29.64,
    ],
};

/// Classical electron radius in m.
const ELECTRON_RADIUS_M: f64 = 2.817_940_326e-15;
/// Planck's constant times the speed of light in eV m.
const HC_EV_M: f64 = 1.239_841_984e-6;
/// Avogadro's number in 1/mol.
const AVOGADRO: f64 = 6.022_140_76e23;

impl Element {
    /// Absorption cross-section in m² at an energy within the table.
    fn cross_section(&self, energy_ev: f64) -> Option<f64> {
        let above = ENERGIES_EV.partition_point(|e| *e < energy_ev);
        let (low, high) = match above {
            0 if ENERGIES_EV[0] == energy_ev => (0, 1),
            0 => return None,
            n if n == N_ENERGIES => return None,
            n => (n - 1, n),
        };
        let share = (energy_ev / ENERGIES_EV[low]).ln() / (ENERGIES_EV[high] / ENERGIES_EV[low]).ln();
        let f2 = (self.f2[low].ln() * (1.0 - share) + self.f2[high].ln() * share).exp();
        Some(2.0 * ELECTRON_RADIUS_M * HC_EV_M / energy_ev * f2)
    }
}

/// A substance of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Material {
    /// Liquid water, 1.00 g/cm³.
    Water,
    /// Vitreous ice, 0.94 g/cm³.
    Ice,
    /// An average protein, C94 H139 N24 O31 S, 1.35 g/cm³ (London, Rosen and Trebes, Appl. Opt. 28, 3397, 1989).
    Protein,
    /// Lipid as triolein, C57 H104 O6, 0.91 g/cm³.
    Lipid,
    /// Silica glass, 2.20 g/cm³.
    Glass,
    /// Polystyrene, 1.05 g/cm³.
    Polystyrene,
    /// Gold, 19.3 g/cm³.
    Gold,
}

impl Material {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Water, Self::Ice, Self::Protein, Self::Lipid, Self::Glass, Self::Polystyrene, Self::Gold];

    /// As a person reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Water => "water",
            Self::Ice => "ice",
            Self::Protein => "protein",
            Self::Lipid => "lipid (triolein)",
            Self::Glass => "silica glass",
            Self::Polystyrene => "polystyrene",
            Self::Gold => "gold",
        }
    }

    /// Density in g/cm³ and atoms of a formula unit.
    fn composition(self) -> (f64, Vec<(&'static Element, f64)>) {
        match self {
            Self::Water => (1.0, vec![(&HYDROGEN, 2.0), (&OXYGEN, 1.0)]),
            Self::Ice => (0.94, vec![(&HYDROGEN, 2.0), (&OXYGEN, 1.0)]),
            Self::Protein => (
                1.35,
                vec![
                    (&CARBON, 94.0),
                    (&HYDROGEN, 139.0),
                    (&NITROGEN, 24.0),
                    (&OXYGEN, 31.0),
                    (&SULPHUR, 1.0),
                ],
            ),
            Self::Lipid => (0.91, vec![(&CARBON, 57.0), (&HYDROGEN, 104.0), (&OXYGEN, 6.0)]),
            Self::Glass => (2.2, vec![(&SILICON, 1.0), (&OXYGEN, 2.0)]),
            Self::Polystyrene => (1.05, vec![(&CARBON, 8.0), (&HYDROGEN, 8.0)]),
            Self::Gold => (19.3, vec![(&GOLD, 1.0)]),
        }
    }

    /// LAC in 1/µm; none outside 272.5 to 543 eV.
    pub fn lac_per_um(self, energy_ev: f64) -> Option<f64> {
        let (density, atoms) = self.composition();
        let molar_mass: f64 = atoms.iter().map(|(element, n)| element.molar_mass * n).sum();
        let mut cross_section = 0.0;
        for (element, n) in atoms {
            cross_section += n * element.cross_section(energy_ev)?;
        }
        // g/cm³ is 1e6 g/m³, and 1/m is 1e-6 /µm.
        Some(density * AVOGADRO / molar_mass * cross_section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_full_table() {
        // Water, ice, triolein, SiO2, polystyrene and gold from all energies of the source, 1/µm.
        let expected = [
            (510.0, [0.1154, 0.1085, 0.931, 1.129, 1.264, 23.7]),
            (516.6, [0.1117, 0.1050, 0.901, 1.094, 1.223, 23.5]),
            (520.0, [0.1098, 0.1033, 0.886, 1.076, 1.203, 23.3]),
        ];
        let materials = [
            Material::Water,
            Material::Ice,
            Material::Lipid,
            Material::Glass,
            Material::Polystyrene,
            Material::Gold,
        ];
        for (energy, values) in expected {
            for (material, value) in materials.into_iter().zip(values) {
                let found = material.lac_per_um(energy).unwrap();
                // Interpolation, and three digits of the expected values.
                assert!((found / value - 1.0).abs() < 0.004, "{material:?} at {energy}: {found} {value}");
            }
            let protein = Material::Protein.lac_per_um(energy).unwrap();
            let expected =
                [1.399, 1.356, 1.334][[510.0, 516.6, 520.0].iter().position(|e| *e == energy).unwrap()];
            // Compositions of an average protein differ.
            assert!((protein / expected - 1.0).abs() < 0.01, "{protein} {expected}");
        }
    }

    #[test]
    fn edges_are_sharp_and_the_table_ends() {
        let carbon = |energy| Material::Lipid.lac_per_um(energy).unwrap();
        assert!(carbon(285.0) > 8.0 * carbon(284.0));
        assert!(Material::Protein.lac_per_um(411.0) > Material::Protein.lac_per_um(409.0));
        for energy in [100.0, 543.5, f64::NAN] {
            assert_eq!(Material::Ice.lac_per_um(energy), None, "{energy}");
        }
        assert!(Material::Ice.lac_per_um(272.549).is_some() && Material::Ice.lac_per_um(543.0).is_some());
    }
}
