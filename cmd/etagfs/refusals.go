package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// refusals tells Prometheus whether the store of a server has stopped taking writes.
type refusals struct {
	engine *badgerstore.Engine
	desc   *prometheus.Desc
}

func (r refusals) describe() refusals {
	r.desc = prometheus.NewDesc("etagfs_"+refusingName, refusingHelp, []string{"why"}, nil)
	return r
}

// Describe implements [prometheus.Collector].
func (r refusals) Describe(to chan<- *prometheus.Desc) { to <- r.desc }

// Collect implements [prometheus.Collector].
func (r refusals) Collect(to chan<- prometheus.Metric) {
	if why := r.engine.Refusing(); why != nil {
		to <- gauge(r.desc, 1, why.Error())
		return
	}
	to <- gauge(r.desc, 0, "")
}
