package github

import (
	"encoding/json"
	"slices"

	"github.com/towpath/towpath/pkg/handlers/texts"
)

// A bot is told 128 KiB at once, and GitHub sends more: what an issue or a
// comment says is cut at its end, and of many commits the oldest are left out.
// All in bytes of JSON.
const (
	maxBody      = 90_000
	maxIssueBody = 20_000 // beside a comment
	maxCommits   = 100_000
	maxCommit    = 30_000
	maxMessage   = 20_000 // of a commit that is too large
)

func cut(text string, most int) string { return texts.Cut(text, most, texts.JSON) }

// fitting returns the newest commits, oldest first as GitHub has them, and how
// many there are besides.
func fitting(all []wireCommit) (kept []Commit, omitted int) {
	kept, left := []Commit{}, maxCommits
	for i, w := range slices.Backward(all) {
		c := w.told()
		if size(c) > maxCommit {
			c.Message, c.Added, c.Removed, c.Modified = cut(c.Message, maxMessage), []string{}, []string{}, []string{}
		}
		if left -= size(c); left < 0 {
			omitted = i + 1
			break
		}
		kept = append(kept, c)
	}
	slices.Reverse(kept)
	return kept, omitted
}

func size(c Commit) int {
	encoded, _ := json.Marshal(c) // texts and lists of them always encode
	return len(encoded)
}
