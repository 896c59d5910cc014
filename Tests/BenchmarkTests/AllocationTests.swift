import Testing

/// The benchmarks count every call of the allocator in their own process; this runs them and holds them to none.
@Suite("Allocations")
struct AllocationTests {
    #if DEBUG
        static let isOptimised = false
    #else
        static let isOptimised = true
    #endif

    @Test(
        "In the steady state a segment costs no allocation, over IPv4 and IPv6, in segments and super-segments",
        .enabled(if: isOptimised, "without optimisation the compiler's own boxes are counted: swift test -c release"))
    func steadyState() throws {
        let figures = try benchmark("allocations")
        // The counter counts: it saw the allocations that were made for it to see.
        let control = try #require(figures.first { $0.metric == "counted" })
        #expect(control.value == 1000)
        let counted = figures.filter { $0.metric == "allocations" }
        for family in ["IPv4", "IPv6"] {
            for way in ["MSS-size segments", "super-segments", "exchanges"] {
                #expect(counted.contains { $0.variant == "\(family), \(way)" })
            }
        }
        for figure in counted { #expect(figure.value == 0, "\(figure.variant)") }
        for figure in figures.filter({ $0.metric == "segments" }) { #expect(figure.value > 100, "\(figure.variant)") }
    }
}
