// Package measure has what the benchmarks share: values by row, subject and round, their statistics,
// how they are written, bars to judge them by, and the processor time and the memory of processes.
//
// A row is a thing to do, a subject is who does it, and a round has one value of each row for each
// subject. Ratios are formed round by round, so that whatever else the machine did meets both sides.
package measure
