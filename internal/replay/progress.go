package replay

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Progress tells somebody how far something is: on a terminal as a bar that is
// drawn over and over, elsewhere by a line from time to time.
type Progress struct {
	out      io.Writer
	terminal bool
	total    int
	now      func() time.Time

	began, drawn time.Time
	shown        bool
}

// NewProgress returns the progress of total steps. With a total of 0 it tells
// only how many there were. Now is time.Now when nil.
func NewProgress(out io.Writer, terminal bool, total int, now func() time.Time) *Progress {
	if now == nil {
		now = time.Now
	}
	began := now()
	return &Progress{out: out, terminal: terminal, total: total, now: now, began: began, drawn: began}
}

// Step tells that so many steps are done.
func (p *Progress) Step(done int) {
	every := time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	now := p.now()
	if now.Sub(p.drawn) < every {
		return
	}
	p.drawn = now
	if !p.terminal {
		fmt.Fprintln(p.out, p.line(done, now))
		return
	}
	p.shown = true
	fmt.Fprint(p.out, "\r\x1b[K"+p.line(done, now))
}

// Hide takes the bar away, so that something else can be written.
func (p *Progress) Hide() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func (p *Progress) line(done int, now time.Time) string {
	rate := float64(done) / max(now.Sub(p.began).Seconds(), 0.001)
	if p.total == 0 {
		return fmt.Sprintf("%d  %.0f/s", done, rate)
	}
	bar := ""
	if p.terminal {
		const cells = 30
		filled := min(cells*done/p.total, cells)
		bar = "[" + strings.Repeat("=", filled) + strings.Repeat(" ", cells-filled) + "] "
	}
	left := "?"
	if rate > 0 {
		left = time.Duration(float64(p.total-done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s%d/%d  %.0f/s  %s left", bar, done, p.total, rate, left)
}
