package series

import "sync"

// pool is a sync.Pool of one type.
type pool[T any] struct{ sync.Pool }

func newPool[T any](fresh func() T) *pool[T] {
	return &pool[T]{sync.Pool{New: func() any { return fresh() }}}
}

// Get gives a value that was put back, or a fresh one.
func (p *pool[T]) Get() T { return p.Pool.Get().(T) }

// Put gives a value back.
func (p *pool[T]) Put(v T) { p.Pool.Put(v) }
