// Package report turns measurements into a Markdown table and an SVG chart.
package report
