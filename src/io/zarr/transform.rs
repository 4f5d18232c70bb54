//! Coordinate transformations of OME-Zarr: from the index of a stored array to coordinates, as one affine map.
//!
//! Index (0, 0, 0) is the centre of a voxel, so a translation places that centre: half a voxel is never added. Version 0.6
//! says so; for the older ones, which leave it open, its writers (ome-zarr-py, ngff-zarr) mean the same.
//! Reference: ngff.openmicroscopy.org, 0.4 to 0.6.

use serde_json::Value;

/// Transformations inside one another that are followed.
const MAX_DEPTH: usize = 8;
/// Axes that an array may have.
pub(super) const MAX_AXES: usize = 16;
/// Entries of a matrix below this part of the largest in their row are noise of the writer.
const NOISE: f64 = 1e-9;

/// A map from an index to coordinates: a row for each coordinate, with a factor for each axis of the array and an offset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Map {
    rows: Vec<Row>,
    n_axes: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    factors: Vec<f64>,
    offset: f64,
}

/// What one axis of the array is where a map keeps axes apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Along {
    /// The coordinate along this axis.
    pub(super) coordinate: usize,
    /// Step of the coordinate from one index to the next; may be negative.
    pub(super) scale: f64,
    /// Coordinate of index 0.
    pub(super) offset: f64,
}

fn numbers(value: Option<&Value>) -> Option<Vec<f64>> {
    value?.as_array()?.iter().map(|v| v.as_f64().filter(|v| v.is_finite())).collect()
}

fn indices(value: Option<&Value>, below: usize) -> Option<Vec<usize>> {
    let index = |v: f64| (0..below).find(|index| *index as f64 == v);
    numbers(value)?.into_iter().map(index).collect()
}

impl Map {
    /// The map in which index and coordinate are the same.
    pub(super) fn identity(n_axes: usize) -> Self {
        let row = |i: usize| {
            let mut factors = vec![0.0; n_axes];
            factors[i] = 1.0;
            Row { factors, offset: 0.0 }
        };
        Self { rows: (0..n_axes).map(row).collect(), n_axes }
    }

    /// The map followed by one transformation; the error says which kind is not understood.
    pub(super) fn then(&self, step: &Value) -> Result<Self, String> {
        self.followed(step, 0)
    }

    fn followed(&self, step: &Value, depth: usize) -> Result<Self, String> {
        let kind = step.get("type").and_then(Value::as_str).unwrap_or("without a type");
        let wrong = || format!("a transformation of type {kind} was not applied");
        if depth > MAX_DEPTH {
            return Err("transformations inside transformations were not applied".to_owned());
        }
        let list =
            |key: &str| numbers(step.get(key)).filter(|list| list.len() == self.rows.len()).ok_or_else(wrong);
        match kind {
            "identity" => Ok(self.clone()),
            "scale" => Ok(self.scaled(&list("scale")?)),
            "translation" => Ok(self.moved(&list("translation")?)),
            "sequence" => {
                let steps = step.get("transformations").and_then(Value::as_array).ok_or_else(wrong)?;
                steps.iter().try_fold(self.clone(), |map, step| map.followed(step, depth + 1))
            }
            "mapAxis" => {
                let order = indices(step.get("mapAxis"), self.rows.len()).ok_or_else(wrong)?;
                let rows = order.into_iter().map(|i| self.rows[i].clone()).collect();
                Ok(Self { rows, n_axes: self.n_axes })
            }
            "affine" | "rotation" => self.multiplied(step.get(kind)).ok_or_else(wrong),
            "bijection" => self.followed(step.get("forward").ok_or_else(wrong)?, depth + 1),
            "byDimension" => self.by_dimension(step, depth).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    fn scaled(&self, by: &[f64]) -> Self {
        let mut map = self.clone();
        for (row, by) in map.rows.iter_mut().zip(by) {
            row.factors.iter_mut().for_each(|factor| *factor *= by);
            row.offset *= by;
        }
        map
    }

    fn moved(&self, by: &[f64]) -> Self {
        let mut map = self.clone();
        map.rows.iter_mut().zip(by).for_each(|(row, by)| row.offset += by);
        map
    }

    /// The map followed by a matrix, whose last column is an offset where it is one wider than needed.
    fn multiplied(&self, matrix: Option<&Value>) -> Option<Self> {
        let rows: Vec<Vec<f64>> =
            matrix?.as_array()?.iter().map(|row| numbers(Some(row))).collect::<Option<_>>()?;
        let n = self.rows.len();
        // Versions before 0.6 flatten the matrix or add the row 0 … 0 1; neither is what the standard says now.
        if rows.is_empty()
            || rows.len() > MAX_AXES
            || rows.iter().any(|row| row.len() != n && row.len() != n + 1)
        {
            return None;
        }
        let combined = rows.iter().map(|by| {
            let mut factors = vec![0.0; self.n_axes];
            let mut offset = by.get(n).copied().unwrap_or(0.0);
            for (row, by) in self.rows.iter().zip(by) {
                factors.iter_mut().zip(&row.factors).for_each(|(sum, factor)| *sum += by * factor);
                offset += by * row.offset;
            }
            Row { factors, offset }
        });
        Some(Self { rows: combined.collect(), n_axes: self.n_axes })
    }

    fn by_dimension(&self, step: &Value, depth: usize) -> Option<Self> {
        let n = self.rows.len();
        let mut rows: Vec<Option<Row>> = vec![None; n];
        for part in step.get("transformations")?.as_array()?.iter().take(MAX_AXES) {
            let (from, to) = (indices(part.get("inputAxes"), n)?, indices(part.get("outputAxes"), n)?);
            let chosen = from.iter().map(|i| self.rows[*i].clone()).collect();
            let map = Self { rows: chosen, n_axes: self.n_axes };
            let done = map.followed(part.get("transformation")?, depth + 1).ok()?;
            if done.rows.len() != to.len() {
                return None;
            }
            to.into_iter().zip(done.rows).for_each(|(i, row)| rows[i] = Some(row));
        }
        Some(Self { rows: rows.into_iter().collect::<Option<_>>()?, n_axes: self.n_axes })
    }

    /// What each axis of the array is, if the map keeps axes apart: no rotation but by quarter turns, no shear.
    pub(super) fn along_axes(&self) -> Option<Vec<Along>> {
        let mut found = vec![None; self.n_axes];
        for (coordinate, row) in self.rows.iter().enumerate() {
            let largest = row.factors.iter().fold(0.0f64, |most, factor| most.max(factor.abs()));
            let mut axes = (0..self.n_axes).filter(|i| row.factors[*i].abs() > largest * NOISE);
            let (axis, next) = (axes.next()?, axes.next());
            if next.is_some() || found[axis].is_some() {
                return None;
            }
            found[axis] = Some(Along { coordinate, scale: row.factors[axis], offset: row.offset });
        }
        found.into_iter().collect()
    }

    /// The lengths of a step along each axis of the array where the map turns them into one another.
    pub(super) fn turned_axes(&self) -> Vec<Along> {
        let length = |axis: usize| self.rows.iter().map(|row| row.factors[axis].powi(2)).sum::<f64>().sqrt();
        let offset = |axis: usize| self.rows.get(axis).map_or(0.0, |row| row.offset);
        (0..self.n_axes)
            .map(|axis| Along { coordinate: axis, scale: length(axis), offset: offset(axis) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn along(steps: Value) -> Option<Vec<(usize, f64, f64)>> {
        let map =
            steps.as_array().unwrap().iter().fold(Map::identity(3), |map, step| map.then(step).unwrap());
        Some(map.along_axes()?.into_iter().map(|a| (a.coordinate, a.scale, a.offset)).collect())
    }

    #[test]
    fn scales_and_translations_compose_in_order() {
        let scale = json!({"type": "scale", "scale": [4, 2, 1]});
        let shift = json!({"type": "translation", "translation": [1, 2, 3]});
        assert_eq!(along(json!([scale, shift])).unwrap(), [(0, 4.0, 1.0), (1, 2.0, 2.0), (2, 1.0, 3.0)]);
        assert_eq!(along(json!([shift, scale])).unwrap()[0], (0, 4.0, 4.0));
        let sequence = json!({"type": "sequence", "transformations": [scale, shift]});
        assert_eq!(along(json!([sequence, scale])).unwrap()[2], (2, 1.0, 3.0));
    }

    #[test]
    fn axes_are_followed_through_quarter_turns_and_not_through_others() {
        let map = json!({"type": "mapAxis", "mapAxis": [2, 1, 0]});
        assert_eq!(along(json!([map])).unwrap()[0].0, 2);
        let turn = json!({"type": "rotation", "rotation": [[1, 0, 0], [0, 0, -1], [0, 1, 0]]});
        let found = along(json!([{"type": "scale", "scale": [4, 2, 1]}, turn])).unwrap();
        assert_eq!(found, [(0, 4.0, 0.0), (2, 2.0, 0.0), (1, -1.0, 0.0)]);
        let affine = json!({"type": "affine", "affine": [[3, 0, 0, 5], [0, 2, 0, 6], [0, 0, 1, 7]]});
        assert_eq!(along(json!([affine])).unwrap()[1], (1, 2.0, 6.0));
        let slanted = json!({"type": "affine", "affine": [[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]});
        assert_eq!(along(json!([slanted])), None);
        let by = json!({"type": "byDimension", "transformations": [
            {"inputAxes": [0], "outputAxes": [0], "transformation": {"type": "scale", "scale": [7]}},
            {"inputAxes": [1, 2], "outputAxes": [1, 2], "transformation": {"type": "translation", "translation": [1, 2]}}]});
        assert_eq!(along(json!([by])).unwrap(), [(0, 7.0, 0.0), (1, 1.0, 1.0), (2, 1.0, 2.0)]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for step in [
            json!({"type": "displacements", "path": "field"}),
            json!({"type": "scale", "scale": [1, 2]}),
            json!({"type": "scale", "path": "0/scale"}),
            json!({"type": "affine", "affine": [[1]]}),
            json!({"type": "mapAxis", "mapAxis": [0, 1, 9]}),
            json!({"type": "byDimension", "transformations": []}),
            json!({}),
            json!(7),
        ] {
            assert!(Map::identity(3).then(&step).unwrap_err().contains("not applied"), "{step}");
        }
        let mut nested = json!({"type": "identity"});
        for _ in 0..20 {
            nested = json!({"type": "sequence", "transformations": [nested]});
        }
        assert!(Map::identity(3).then(&nested).is_err());
    }
}
