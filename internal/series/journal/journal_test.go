package journal_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/series/journal"
)

func frames(n, values int) []*muster.Frame {
	out := make([]*muster.Frame, n)
	for i := range out {
		out[i] = &muster.Frame{Values: make([]float64, values)}
	}
	return out
}

func TestIdleWritesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(4, func(int, *journal.Batch) error { return nil })
		defer j.Close()
		for lane := range 4 {
			begun := time.Now()
			b, err := j.Add(lane, frames(1, 100))
			if err != nil {
				t.Fatal(err)
			}
			if err := journal.Wait(context.Background(), b); err != nil || time.Since(begun) != 0 {
				t.Errorf("%v after %v, want at once", err, time.Since(begun))
			}
		}
	})
}

func TestFramesGatherWhileAWriteIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		busy := 0
		j := journal.New(2, func(lane int, b *journal.Batch) error {
			mu.Lock()
			if busy++; busy > 1 {
				t.Error("two writes of one lane at a time")
			}
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			busy--
			sizes = append(sizes, len(b.Frames))
			return nil
		})
		for range 50 {
			if _, err := j.Add(1, frames(1, 10)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		j.Close()
		if len(sizes) != 6 && len(sizes) != 7 {
			t.Errorf("batches of %v, want about one in 100 ms", sizes)
		}
		total := 0
		for _, n := range sizes {
			total += n
		}
		if total != 50 {
			t.Errorf("%d frames written, want 50", total)
		}
	})
}

func TestBusyWritesBiggerNotMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		writes := 0
		j := journal.New(64, func(int, *journal.Batch) error { mu.Lock(); defer mu.Unlock(); writes++; return nil })
		var group sync.WaitGroup
		var worst time.Duration
		for n := range 2000 {
			group.Go(func() {
				for range 10 {
					begun := time.Now()
					b, err := j.Add(n%64, frames(1, 100))
					if err == nil {
						err = journal.Wait(context.Background(), b)
					}
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					worst = max(worst, time.Since(begun))
					mu.Unlock()
					time.Sleep(time.Second)
				}
			})
		}
		group.Wait()
		j.Close()
		if writes > 4000 {
			t.Errorf("%d writes of 20,000 frames in 10 s", writes)
		}
		if worst > 600*time.Millisecond {
			t.Errorf("a frame waited %v", worst)
		}
	})
}

func TestBigBatchesAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, total int
		j := journal.New(1, func(_ int, b *journal.Batch) error {
			most = max(most, len(b.Frames))
			total += len(b.Frames)
			return nil
		})
		b, err := j.Add(0, frames(2000, 100))
		if err != nil {
			t.Fatal(err)
		}
		if err := journal.Wait(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		j.Close()
		if total != 2000 || most > 320 {
			t.Errorf("%d frames in batches of up to %d, want 2000 in batches of about 300 (256 KiB)", total, most)
		}
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		j := journal.New(1, func(int, *journal.Batch) error { time.Sleep(time.Minute); return broken })
		b, _ := j.Add(0, frames(1, 1))
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if err := journal.Wait(ctx, b); !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("a caller that can't wait: %v, want ErrUnavailable", err)
		}
		if err := journal.Wait(context.Background(), b); !errors.Is(err, broken) {
			t.Errorf("%v, want the error of the write", err)
		}
		var err error
		for range 2000 {
			if _, err = j.Add(0, frames(100, 100)); err != nil {
				break
			}
		}
		if !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("a lane that is far behind: %v, want ErrUnavailable", err)
		}
		if j.Waiting() == 0 {
			t.Error("nothing waits")
		}
		go j.Close()
		time.Sleep(time.Second)
		if _, err := j.Add(0, frames(1, 1)); !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("a closed journal: %v, want ErrUnavailable", err)
		}
		time.Sleep(24 * time.Hour)
	})
}
