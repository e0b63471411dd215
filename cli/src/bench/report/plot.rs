//! The plots, as SVG: distributions, and takeovers by their phases.

use crate::bench::series::Series;
use crate::contest::phases::NAMES;
use plotters::prelude::*;

const SIZE: (u32, u32) = (960, 420);

/// Told apart in print and by the colour-blind (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
    RGBColor(240, 228, 66),
];

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

/// A takeover by its phases.
pub(super) struct Bar {
    name: String,
    lengths: [f64; NAMES.len()],
}

/// For each series of takeovers its median, phase by phase, and its slowest run.
pub(super) fn bars(series: &[Series]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for series in series {
        let mut runs: Vec<_> = series
            .samples
            .iter()
            .filter_map(|sample| sample.phases)
            .filter(|phases| {
                phases
                    .lengths()
                    .iter()
                    .all(|length| (0.0..1e9).contains(length))
            })
            .collect();
        runs.sort_by(|a, b| a.owner_ms.total_cmp(&b.owner_ms));
        let Some(slowest) = runs.last() else {
            continue;
        };
        let medians = std::array::from_fn(|phase| {
            let mut lengths: Vec<f64> = runs.iter().map(|run| run.lengths()[phase]).collect();
            lengths.sort_by(f64::total_cmp);
            lengths[(lengths.len() - 1) / 2]
        });
        bars.push(Bar {
            name: format!("{}, medians", series.name),
            lengths: medians,
        });
        bars.push(Bar {
            name: format!("{}, slowest", series.name),
            lengths: slowest.lengths(),
        });
    }
    bars
}

/// Bars from left to right, one below the other.
pub(super) fn waterfall(bars: &[Bar]) -> Result<String, String> {
    let longest = bars
        .iter()
        .map(|bar| bar.lengths.iter().sum())
        .fold(1.0_f64, f64::max);
    let rows = i32::try_from(bars.len()).map_err(|error| error.to_string())?;
    let height = 110 + 44 * u32::try_from(bars.len()).unwrap_or(u32::MAX).min(100);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(10)
            .build_cartesian_2d(0.0..longest * 1.02, rows..0)
            .map_err(|error| error.to_string())?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc("ms since the owner was lost")
            .draw()
            .map_err(|error| error.to_string())?;
        for (phase, name) in NAMES.iter().enumerate() {
            let colour = colour(phase);
            let parts = (0..).zip(bars).map(|(row, bar)| {
                let from: f64 = bar.lengths[..phase].iter().sum();
                let mut part = Rectangle::new(
                    [(from, row), (from + bar.lengths[phase], row + 1)],
                    colour.filled(),
                );
                part.set_margin(20, 4, 0, 0);
                part
            });
            chart
                .draw_series(parts)
                .map_err(|error| error.to_string())?
                .label(*name)
                .legend(move |(x, y)| {
                    Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled())
                });
        }
        let names = (0..)
            .zip(bars)
            .map(|(row, bar)| Text::new(bar.name.clone(), (0.0, row), ("sans-serif", 14)));
        chart
            .draw_series(names)
            .map_err(|error| error.to_string())?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .draw()
            .map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

/// The same over a linear and a logarithmic axis, whose charts have different types.
macro_rules! draw_curves {
    ($chart:ident, $curves:ident, $unit:ident) => {
        $chart
            .configure_mesh()
            .x_desc($unit)
            .y_desc("share of the samples")
            .draw()
            .map_err(|error| error.to_string())?;
        for (index, name, points) in &$curves {
            let colour = colour(*index);
            $chart
                .draw_series(LineSeries::new(
                    points.iter().copied(),
                    colour.stroke_width(2),
                ))
                .map_err(|error| error.to_string())?
                .label(*name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2))
                });
        }
        $chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .draw()
            .map_err(|error| error.to_string())?;
    };
}

/// What share of the samples is not above a value.
pub(super) fn distribution(series: &[&Series], unit: &str) -> Result<String, String> {
    let sorted: Vec<(usize, &str, Vec<f64>)> = series
        .iter()
        .enumerate()
        .map(|(index, series)| {
            let mut values = series.sorted();
            values.retain(|value| value.abs() < 1e12);
            (index, series.name.as_str(), values)
        })
        .filter(|(.., values)| !values.is_empty())
        .collect();
    let all = || {
        sorted
            .iter()
            .flat_map(|(.., values)| values.iter().copied())
    };
    let least = all().fold(f64::INFINITY, f64::min);
    let most = all().fold(f64::NEG_INFINITY, f64::max);
    if sorted.is_empty() {
        return Ok(String::new());
    }
    let curves: Vec<_> = sorted
        .iter()
        .map(|(index, name, values)| (*index, *name, steps(values)))
        .collect();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(50);
        // Round trips spread over decades.
        if unit == "us" && least > 0.0 && most > least {
            let x = (least..most).log_scale();
            let mut chart = builder
                .build_cartesian_2d(x, 0.0..1.0)
                .map_err(|error| error.to_string())?;
            draw_curves!(chart, curves, unit);
        } else {
            let room = ((most - least) * 0.02).max(1e-3);
            let x = least - room..most + room;
            let mut chart = builder
                .build_cartesian_2d(x, 0.0..1.0)
                .map_err(|error| error.to_string())?;
            draw_curves!(chart, curves, unit);
        }
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

/// A step for each sample.
fn steps(values: &[f64]) -> Vec<(f64, f64)> {
    let count = values.len();
    let share = |rank: usize| rank as f64 / count as f64;
    let mut points = vec![(values[0], 0.0)];
    for (rank, value) in values.iter().enumerate() {
        points.push((*value, share(rank)));
        points.push((*value, share(rank + 1)));
    }
    points
}
