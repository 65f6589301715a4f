package config

import "strings"

// nearest returns the known key that key was probably meant to be, or nothing
// when none is close.
func nearest(key string, known []string) string {
	if len(key) > 64 {
		return ""
	}
	best, least := "", 3
	for _, k := range known {
		d := distance(strings.ToLower(key), strings.ToLower(k))
		if d < least && d < len(k)/2+1 {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of characters to add, drop or change to get from a
// to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
