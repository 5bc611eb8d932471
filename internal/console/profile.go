package console

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
)

// maxProfileSeconds bounds a profile: only one of the processor runs at a time, and a trace slows the node down.
const maxProfileSeconds = 300

// boundProfile refuses a request for a profile that takes too long.
func boundProfile(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if text := r.FormValue("seconds"); text != "" {
			if seconds, err := strconv.ParseFloat(text, 64); err != nil || math.IsNaN(seconds) ||
				seconds < 0 || seconds > maxProfileSeconds {
				writeJSON(w, http.StatusBadRequest, map[string]string{
					"error": fmt.Sprintf("seconds: must be a number up to %d", maxProfileSeconds),
				})
				return
			}
		}
		next(w, r)
	}
}
