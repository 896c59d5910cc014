import TCPEngine
import TCPSimulator
import TCPStack
import TCPWire
import Testing

/// A server at the end of its memory, and under floods (RFC 4987, DESIGN rule 4). In virtual time: every run is the same.
@Suite("Servers under load", .serialized)
struct LoadTests {
    #if DEBUG
        static let scale = 200
        static let flood = 2_000
    #else
        static let scale = 1
        static let flood = 1_000_000
    #endif

    private func endpoint(_ isIPv6: Bool) -> Endpoint {
        Endpoint(isIPv6 ? IPAddress(high: 0xFD00 << 48, low: 1) : IPAddress(ipv4: 0x0A00_0001), 80)
    }

    /// The stack's memory once nobody is left, less what an empty stack with a listener holds.
    private func leftover(_ run: borrowing LoadRun, _ configuration: Configuration) throws -> Int {
        let empty = try LoadServer(configuration, on: run.generator.load.server, at: .zero)
        return run.server.stack.memory.total - empty.stack.memory.total
    }

    @Test(
        "A budget of 8 MiB serves 2,000 transfers among 4,500 peers that vanish or never read, and a flood [RFC 4987, 4987-1, 4987-3]",
        arguments: [false, true])
    func scenario(isIPv6: Bool) throws {
        var load = Load(server: endpoint(isIPv6))
        load.transferring = 2_000 / Self.scale
        load.octets = 32_768
        load.neverReading = 500 / Self.scale
        load.vanishing = 500 / Self.scale
        load.forgedSyns = 10_000 / Self.scale
        load.mostForged = Self.flood
        var configuration = Configuration()
        // Less than a hundredth would hold no buffers at all: they come in pieces of 64 KiB.
        let budget = max(8 << 20, Self.scale * (512 << 10)) / Self.scale
        configuration.memoryBudget = budget
        var run = try LoadRun(
            load, configuration, rate: 1_000_000_000 / Self.scale, delay: .milliseconds(10), queue: 4 << 20)
        let start = run.now
        while !run.generator.isServed, run.step() {}
        let served = run.now - start
        let (peak, packets) = (run.peak, run.packets)
        let counters = run.server.stack.counters
        let fault = run.server.stack.audit()
        #expect(fault == nil)
        run.generator.leave()
        var steps = 0
        while run.step() { steps += 1 }
        let after = run.server.stack.memory
        let left = try leftover(run, configuration)
        print(
            """
            \(run.generator.served) of \(load.transferring) served in \(served), \(run.generator.octets) octets right, \
            \(run.generator.refused) times refused and tried again; \
            peak \(peak) of \(budget) bytes; \(packets) packets, \(run.generator.forged) forged SYNs, \
            \(counters.cookiesSent) cookies, \(counters.cookiesAccepted) connections by cookie; \
            refused: \(counters[.overloaded]) for memory, \(counters[.queueFull]) for the queue; \
            \(counters.timeWaitsCutShort) TIME-WAITs cut short, \(counters.orphansReset) orphans reset, \
            \(counters.segmentsRefused) segments not taken; accepted \(run.server.accepted); quiet after \(run.now - start): \
            \(after.total) bytes held, \(left) more than when empty
            """)
        #expect(run.generator.served == load.transferring && run.generator.failed == 0)
        #expect(run.generator.octets == load.transferring * load.octets)
        #expect(peak <= budget)
        #expect(left == 0 && after.connectionCount == 0 && after.halfOpenCount == 0 && after.timeWaitCount == 0)
        let hasTimer = run.server.stack.nextDeadline != nil
        #expect(!hasTimer)
        let end = run.server.stack.audit()
        #expect(end == nil)
    }

    /// One honest client sends and is sent octets while SYNs are forged, which take a tenth of a link of 20 Mbit/s.
    private func transfer(_ isIPv6: Bool, forged: Int, octets: Int) throws -> (Duration, Int, Counters, [Int]) {
        var load = Load(server: endpoint(isIPv6))
        load.transferring = 1
        load.octets = octets
        load.neverReading = 0
        load.vanishing = 0
        // A SYN is 44 or 64 octets on the wire.
        load.forgedSyns = forged == 0 ? 0 : 20_000_000 / 10 / 8 / (isIPv6 ? 64 : 44)
        var configuration = Configuration()
        configuration.memoryBudget = 8 << 20
        var run = try LoadRun(
            load, configuration, rate: 20_000_000, delay: .milliseconds(10), queue: 128 << 10)
        let start = run.now
        var held: [Int] = []
        while !run.generator.isServed, run.step() {
            if run.generator.forged / 1_000 > held.count { held.append(run.server.stack.memory.smallEntries) }
        }
        #expect(run.generator.served == 1 && run.generator.octets == octets)
        return (run.now - start, run.generator.forged, run.server.stack.counters, held)
    }

    @Test(
        "A client's transfer goes on at 80 % of its rate at least while a flood takes a tenth of the link [RFC 4987, 4987-3]",
        arguments: [false, true])
    func floodAndTransfer(isIPv6: Bool) throws {
        // What crosses the link in the time the flood takes.
        let octets = Self.flood * (isIPv6 ? 64 : 44) * 9
        let (quiet, _, _, _) = try transfer(isIPv6, forged: 0, octets: octets)
        let (flooded, forged, counters, held) = try transfer(isIPv6, forged: Self.flood, octets: octets)
        print(
            """
            \(octets) octets there and back: \(quiet) quiet, \(flooded) while \(forged) SYNs were forged; \
            \(counters.cookiesSent) cookies; small entries \(held.max() ?? 0) bytes at most
            """)
        #expect(flooded * 4 <= quiet * 5)
        #expect(forged >= Self.flood)
        // All but those that found a place, or were lost in the queue of the link.
        #expect(Int(counters.cookiesSent) * 100 >= (forged - 1_200) * 95 && counters.cookiesSent > 500)
        // Past the bound the flood costs nothing more.
        let bound = 1024 * 64
        #expect(held.allSatisfy { $0 <= bound })
        if held.count > 3 {
            // Entries come in pieces of 64, of which one may come and go.
            let later = held.dropFirst(3)
            #expect((later.max() ?? 0) - (later.min() ?? 0) <= 64 * 64)
        }
    }

    @Test(
        "Honest clients connect within a round trip and one more try while SYNs are forged [RFC 4987, 4987-3]",
        arguments: [false, true])
    func floodAndOpening(isIPv6: Bool) throws {
        var load = Load(server: endpoint(isIPv6))
        load.transferring = Self.scale == 1 ? 1_000 : 20
        load.octets = 100
        load.neverReading = 0
        load.vanishing = 0
        load.mostForged = Self.flood / 10
        load.forgedSyns = Self.flood / 100
        var configuration = Configuration()
        configuration.memoryBudget = 8 << 20
        var run = try LoadRun(
            load, configuration, rate: 100_000_000, delay: .milliseconds(10), queue: 1 << 20)
        while !run.generator.isServed, run.step() {}
        print(
            """
            \(run.generator.served) clients during \(run.generator.forged) forged SYNs: the slowest opened in \
            \(run.generator.longestOpening); \(run.server.stack.counters.cookiesAccepted) by cookie
            """)
        #expect(run.generator.served == load.transferring)
        #expect(run.generator.forged >= load.mostForged * 9 / 10)
        // 20 ms of round trip and an initial RTO of 1 s (RFC 6298 §2.1).
        #expect(run.generator.longestOpening < .milliseconds(1_100))
    }
}
