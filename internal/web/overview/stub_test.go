package overview

import "testing/fstest"

// chartStub stands in for the chart package's modules.
var chartStub = fstest.MapFS{"assets/board.js": {Data: []byte("export class Board {}\n")}, "assets/chart.css": {Data: []byte(".ch{}")}}
