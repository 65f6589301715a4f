package pace_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/towpath/towpath/internal/pace"
)

// busy enters for an installation n times, and returns how many got a slot and
// how to give one of them back.
func busy(t *testing.T, turns *pace.Turns, installation string, n int) (got func() int, leaveOne func()) {
	t.Helper()
	var mu sync.Mutex
	var leaves []func()
	for range n {
		go func() {
			leave, err := turns.Enter(t.Context(), installation)
			if err != nil {
				return // the test ended
			}
			mu.Lock()
			leaves = append(leaves, leave)
			mu.Unlock()
		}()
	}
	synctest.Wait()
	return func() int {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return len(leaves)
		}, func() {
			mu.Lock()
			leave := leaves[0]
			leaves = leaves[1:]
			mu.Unlock()
			leave()
			synctest.Wait()
		}
}

func TestEachBusyInstallationGetsHalfOfTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := pace.NewTurns(64)
		for i, want := range []int{32, 16, 8, 4, 2, 1, 1, 0} {
			installation := fmt.Sprintf("w%d", i)
			got, _ := busy(t, turns, installation, 100)
			if got() != want {
				t.Errorf("installation %d got %d slots, want %d", i, got(), want)
			}
			if waiting := turns.Waiting(installation); waiting != 100-want {
				t.Errorf("%d of installation %d wait, want %d", waiting, i, 100-want)
			}
		}
		if running, waiting := turns.Total(); running != 64 || waiting != 736 {
			t.Errorf("%d run and %d wait, want 64 and 736", running, waiting)
		}
	})
}

func TestFewSlotsSufficeForEveryone(t *testing.T) {
	t.Parallel()
	for slots, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 1, 3: 2} {
		synctest.Test(t, func(t *testing.T) {
			if got, _ := busy(t, pace.NewTurns(slots), "w1", 5); got() != want {
				t.Errorf("of %d slots a lone installation gets %d, want %d", slots, got(), want)
			}
		})
	}
}

func TestFreedSlotGoesToWhoeverHasLeastAndTiesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := pace.NewTurns(4)
		rich, freeOne := busy(t, turns, "rich", 10)
		_, _ = busy(t, turns, "second", 1)
		_, _ = busy(t, turns, "third", 1)
		// All four are taken, and three more installations come.
		var got [3]func() int
		var leave [3]func()
		for i := range got {
			got[i], leave[i] = busy(t, turns, fmt.Sprintf("poor%d", i), 2)
		}
		want := func(when string, want ...int) {
			t.Helper()
			have := []int{rich(), got[0](), got[1](), got[2]()}
			if !slices.Equal(have, want) {
				t.Fatalf("%s: rich and poor have %v, want %v", when, have, want)
			}
		}
		want("at first", 2, 0, 0, 0)
		freeOne()
		want("rich still has one, poor none", 1, 1, 0, 0)
		freeOne()
		want("rich was served longest ago", 1, 1, 0, 0)
		leave[0]()
		want("poor1 has waited longest", 1, 0, 1, 0)
		leave[1]()
		want("poor2 has had none yet", 1, 0, 0, 1)
		leave[2]()
		want("poor0 was served longest ago", 1, 1, 0, 0)
	})
}

func TestOneInstallationIsServedInTheOrderInWhichItsOwnCame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := pace.NewTurns(2)
		first, err := turns.Enter(t.Context(), "w1")
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 20 {
			go func() {
				leave, err := turns.Enter(t.Context(), "w1")
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i) // one at a time
				leave()
			}()
			synctest.Wait()
		}
		first()
		synctest.Wait()
		if !slices.IsSorted(order) || len(order) != 20 {
			t.Errorf("served as %v", order)
		}
	})
}

func TestEndOfTheContextEndsTheWaitWithItsCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := pace.NewTurns(1)
		leave, err := turns.Enter(t.Context(), "w1")
		if err != nil {
			t.Fatal(err)
		}
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			_, err := turns.Enter(ctx, "w1")
			done <- err
		}()
		synctest.Wait()
		cancel(enough)
		if err := <-done; !errors.Is(err, enough) || turns.Waiting("w1") != 0 {
			t.Errorf("ended with %v, %d wait", err, turns.Waiting("w1"))
		}
		leave()
		leave() // again, to no effect
		if _, err := turns.Enter(ctx, "w1"); !errors.Is(err, enough) {
			t.Errorf("entered after the end: %v", err)
		}
		if running, waiting := turns.Total(); running != 0 || waiting != 0 {
			t.Errorf("%d run and %d wait after all left", running, waiting)
		}
	})
}

// Installations of all sizes come, run, lose patience and go, at random.
func TestRandomTurnsNeverExceedTheSlotsAndStarveNobody(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			slots := 1 + random.IntN(20)
			turns := pace.NewTurns(slots)
			var mu sync.Mutex
			running := 0
			var all sync.WaitGroup
			for range 500 {
				installation := fmt.Sprintf("w%d", random.IntN(1+random.IntN(12))) // some come more often
				arrives, runs := time.Duration(random.Int64N(20e9)), time.Duration(random.Int64N(1e9)+1)
				patience := time.Hour
				if random.IntN(4) == 0 {
					patience = time.Duration(random.Int64N(1e9))
				}
				all.Go(func() {
					<-time.After(arrives)
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					leave, err := turns.Enter(ctx, installation)
					if err != nil {
						if patience == time.Hour {
							t.Errorf("one of %s was never served", installation)
						}
						return
					}
					mu.Lock()
					running++
					if running > slots {
						t.Errorf("%d run in %d slots", running, slots)
					}
					mu.Unlock()
					<-time.After(runs)
					mu.Lock()
					running--
					mu.Unlock()
					leave()
				})
			}
			all.Wait()
			if running, waiting := turns.Total(); running != 0 || waiting != 0 {
				t.Errorf("%d run and %d wait after all left", running, waiting)
			}
		})
	}
}

// However much one installation has waiting, another one that has less than
// its share is served by the next slot that is freed.
func TestCrowdDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := pace.NewTurns(8)
		var all sync.WaitGroup
		for range 10_000 {
			all.Go(func() {
				leave, err := turns.Enter(t.Context(), "crowd")
				if err != nil {
					t.Error(err)
					return
				}
				<-time.After(30 * time.Second)
				leave()
			})
		}
		synctest.Wait()
		for range 1000 {
			came := time.Now()
			leave, err := turns.Enter(t.Context(), "quick")
			if err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(came); waited != 0 {
				t.Fatalf("waited %s for a turn", waited)
			}
			<-time.After(50 * time.Millisecond)
			leave()
		}
		all.Wait()
	})
}
