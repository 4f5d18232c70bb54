//! Beads (or patches) followed through the views of a tilt series: what a fit of their positions starts from.

use serde::{Deserialize, Serialize};

/// Where something was seen in one view, in unbinned pixels; whole numbers are the middles of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrackPoint {
    /// The view, from 0 in file order.
    pub view: usize,
    /// Row.
    pub y: f64,
    /// Column.
    pub x: f64,
    /// Distance from where the fit puts it, in unbinned pixels; absent before a fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual_px: Option<f64>,
    /// How much the fit believes it, 0 to 1; absent before a fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

impl TrackPoint {
    /// A point that was not fitted yet.
    pub fn new(view: usize, y: f64, x: f64) -> Self {
        Self { view, y, x, residual_px: None, weight: None }
    }
}

/// One bead: at most one point a view, in order of the views.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BeadTrack {
    /// Where it was seen, in order of the views.
    pub points: Vec<TrackPoint>,
    /// Position (z, y, x) in unbinned pixels from the middle of the volume; absent before a fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_zyx: Option<[f64; 3]>,
    /// Weighted root mean square distance of its points from the fit, in unbinned pixels; absent before a fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual_px: Option<f64>,
}

impl BeadTrack {
    /// The point in a view.
    pub fn point(&self, view: usize) -> Option<&TrackPoint> {
        self.points.binary_search_by_key(&view, |point| point.view).ok().map(|i| &self.points[i])
    }

    /// Puts a point in place of the one of its view, if there is one.
    pub fn set(&mut self, point: TrackPoint) {
        match self.points.binary_search_by_key(&point.view, |known| known.view) {
            Ok(place) => self.points[place] = point,
            Err(place) => self.points.insert(place, point),
        }
    }

    /// Takes out the point of a view.
    pub fn remove(&mut self, view: usize) {
        self.points.retain(|point| point.view != view);
    }
}

/// All beads of a series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BeadTracks {
    /// Diameter in unbinned pixels, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diameter_px: Option<f64>,
    /// The beads.
    pub beads: Vec<BeadTrack>,
}

impl BeadTracks {
    /// Number of points of all beads.
    pub fn n_points(&self) -> usize {
        self.beads.iter().map(|bead| bead.points.len()).sum()
    }

    /// Says in one sentence what is wrong with them for a scan of `n_views`, if anything.
    pub fn problem(&self, n_views: usize) -> Option<String> {
        for (index, bead) in self.beads.iter().enumerate() {
            if let Some(point) = bead.points.iter().find(|point| point.view >= n_views) {
                let view = point.view;
                return Some(format!(
                    "bead {index} has a point in view {view} of a scan of {n_views} views: the beads belong to another scan"
                ));
            }
            if bead.points.iter().any(|point| !point.x.is_finite() || !point.y.is_finite()) {
                return Some(format!("a point of bead {index} is not a finite number"));
            }
            if !bead.points.is_sorted_by_key(|point| point.view)
                || bead.points.windows(2).any(|pair| pair[0].view == pair[1].view)
            {
                return Some(format!("bead {index} has two points in one view, or points out of order"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_keep_the_order_of_the_views_and_one_a_view() {
        let mut bead = BeadTrack::default();
        for (view, x) in [(3, 1.0), (1, 2.0), (3, 5.0), (2, 4.0)] {
            bead.set(TrackPoint::new(view, 0.0, x));
        }
        let seen: Vec<_> = bead.points.iter().map(|p| (p.view, p.x)).collect();
        assert_eq!(seen, [(1, 2.0), (2, 4.0), (3, 5.0)]);
        bead.remove(2);
        assert_eq!((bead.point(2), bead.point(3).map(|p| p.x)), (None, Some(5.0)));
        let mut tracks = BeadTracks { beads: vec![bead], diameter_px: None };
        assert_eq!((tracks.problem(4), tracks.n_points()), (None, 2));
        assert!(tracks.problem(3).unwrap().contains("view 3"));
        tracks.beads[0].points.swap(0, 1);
        assert!(tracks.problem(4).unwrap().contains("order"));
        tracks.beads[0].points[0].y = f64::NAN;
        assert!(tracks.problem(4).unwrap().contains("finite"));
    }
}
