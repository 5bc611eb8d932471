// Package wallboard tests the page of the development server in a browser: that it is what its sources make, that each
// board equals the simulator's own state, also after cuts and restarts, that old numbers look old, and that people can
// use it with a keyboard, a screen reader, a phone and a screen of 4K.
package wallboard
