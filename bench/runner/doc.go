// Package runner plays scenarios against peers and measures what happens.
package runner
