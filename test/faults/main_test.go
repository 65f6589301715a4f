// Package faults_test breaks things while people write and a bot answers:
// processes are killed and frozen, NATS goes away, its disk fills, platforms
// fail. Afterwards it counts, by what was accepted at the HTTP door, what came
// to the bot and what came to the platform, whether anything was lost, doubled
// or put out of order.
//
// TOWPATH_FAULTS=short runs what fits into five minutes, TOWPATH_FAULTS=long
// all of it and writes the results into docs/guarantees.md; without it nothing
// runs. TOWPATH_SEED repeats the random choices of a run.
package faults_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go/log"

	"github.com/towpath/towpath/test/system"
)

// The tiers of the suite.
const (
	short = "short"
	long  = "long"
)

var (
	tier     = os.Getenv("TOWPATH_FAULTS")
	seed     = rand.Uint64()
	binaries system.Binaries
	results  table
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if tier == "" {
		return m.Run() // each says why it is skipped
	}
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "towpath-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binaries, err = system.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := results.publish(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func prepare() error {
	if tier != short && tier != long {
		return fmt.Errorf("TOWPATH_FAULTS is %q: write short or long", tier)
	}
	if given := os.Getenv("TOWPATH_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			return fmt.Errorf("TOWPATH_SEED: %w", err)
		}
	}
	log.SetDefault(silent{})
	// Before the first container: it is on this machine, and its test removes it.
	return errors.Join(os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1"), os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"))
}

// silent keeps the births and deaths of containers to itself.
type silent struct{}

// Printf implements log.Logger.
func (silent) Printf(string, ...any) {}

// scenario is one way of breaking things.
type scenario struct {
	*testing.T
	name  string
	dice  *rand.Rand
	began time.Time
}

// begin begins a scenario of both tiers.
func begin(t *testing.T, name string) *scenario {
	t.Helper()
	if tier == "" {
		t.Skip("it takes minutes: set TOWPATH_FAULTS to short or long")
	}
	own := fnv.New64a()
	_, _ = own.Write([]byte(name))
	t.Logf("%s: TOWPATH_SEED=%d", name, seed)
	return &scenario{T: t, name: name, dice: rand.New(rand.NewPCG(seed, own.Sum64())), began: time.Now()}
}

// beginLong begins a scenario of the long tier alone.
func beginLong(t *testing.T, name string) *scenario {
	t.Helper()
	if tier == short {
		t.Skip("it takes many minutes: set TOWPATH_FAULTS=long")
	}
	return begin(t, name)
}

// either chooses by the tier.
func either[V any](inShort, inLong V) V {
	if tier == long {
		return inLong
	}
	return inShort
}

// random is a duration from 0 to bound.
func (s *scenario) random(bound time.Duration) time.Duration {
	return time.Duration(s.dice.Int64N(int64(bound)))
}

// let lets things go on for a while.
func (s *scenario) let(pass time.Duration) {
	s.Helper()
	timer := time.NewTimer(pass)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Context().Done():
		s.Fatal("the test is over")
	}
}

// knows skips a scenario that needs a setting which this build's worker does
// not have.
func (s *scenario) knows(setting string) {
	s.Helper()
	_, help, _ := system.Finish(s.T, system.Run{Binary: binaries.Worker, Args: []string{"--help"}})
	if !strings.Contains(help, setting) {
		s.Skipf("this worker has no %s", setting)
	}
}
