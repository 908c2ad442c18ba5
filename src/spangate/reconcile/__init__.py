"""A provider's bill against our ledger: exports read into lines, compared day by day, and each difference named. Pure.

`exports.parse` reads a provider's files into an `Export`; `compare.compare` puts it beside what the ledger has (`Booked`) and gives a
`Report`. Token classes are those of `prices.rates`, each token in one class only: `input` is what of the input is in no class of its
own. A difference is theirs minus ours: above zero they count more.
"""
