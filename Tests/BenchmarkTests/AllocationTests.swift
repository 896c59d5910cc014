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
        let counted = figures.filter { $0.metric == "allocations" && !$0.variant.hasSuffix("lost") }
        for family in ["IPv4", "IPv6"] {
            for way in ["MSS-size segments", "super-segments", "exchanges"] {
                #expect(counted.contains { $0.variant == "\(family), \(way)" })
            }
        }
        for figure in counted { #expect(figure.value == 0, "\(figure.variant)") }
        for figure in figures.filter({ $0.metric == "segments" }) { #expect(figure.value > 100, "\(figure.variant)") }
    }

    @Test(
        "A recovery makes what it needs once, and in it, too, a segment costs no allocation",
        .enabled(if: isOptimised, "without optimisation the compiler's own boxes are counted: swift test -c release"))
    func recovery() throws {
        let figures = try benchmark("allocations")
        for family in ["IPv4", "IPv6"] {
            func figure(_ metric: String) throws -> Double {
                try #require(figures.first { $0.metric == metric && $0.variant == "\(family), 1 of 100 lost" }).value
            }
            let begun = try figure("allocations") / figure("allocations per recovery")
            #expect(begun > 100)
            #expect(try figure("segments") > 100 * begun)
            #expect(try figure("allocations per recovery") <= 4)
        }
    }

    @Test(
        "The compiler copies no stack and no connection for an exchange",
        .enabled(if: isOptimised, "without optimisation everything is copied: swift test -c release"))
    func copies() throws {
        let figures = try benchmark("copies")
        let control = try #require(figures.first { $0.metric == "counted" })
        #expect(control.value >= 409_600)
        let counted = figures.filter { $0.metric == "octets copied per exchange" }
        #expect(counted.count == 2)
        for figure in counted { #expect(figure.value > 100 && figure.value <= 16_384, "\(figure.variant)") }
    }
}
