module example.org/titles/crosscheck

go 1.22

require golang.org/x/mod v0.0.0

// The copy that every Go distribution has of it: see ../building.py.
replace golang.org/x/mod => ./xmod
