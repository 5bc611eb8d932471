// Package wallboard tests the page of the development server in a browser. The page matches its sources. Each board
// equals the simulator's own state, also after cuts and restarts. Old numbers look old. People can use the page with a
// keyboard, a screen reader, a phone and a 4K screen.
package wallboard
