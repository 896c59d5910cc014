import TCPEngine
import TCPWire
import Testing

/// 10 Mb/s, 40 ms, a queue of eight times the product.
private let deep = Bottleneck.Link(rate: 1_250_000, roundTrip: 40_000_000, queue: 400_000)
/// 40 Mb/s, 50 ms, a queue of a fortieth of the product: losses before queues.
private let shallow = Bottleneck.Link(rate: 5_000_000, roundTrip: 50_000_000, queue: 8_000)

private func per(_ part: some BinaryInteger, of whole: some BinaryInteger) -> Double { Double(part) / Double(whole) }

@Suite("BBR: the state machine (draft-ietf-ccwg-bbr §5.3)")
struct BBRStateTests {
    @Test("Startup Dynamics: the estimate doubles each round until the pipe is full")
    func doubles() {
        var path = Bottleneck(Bottleneck.Link(rate: 12_500_000, roundTrip: 40_000_000, queue: 4_000_000))
        var estimates: [UInt64] = []
        var round = path.bbr.roundCount
        while path.bbr.state == .startup, path.step(before: Instant(nanoseconds: 2_000_000_000)) {
            if path.bbr.roundCount == round { continue }
            round = path.bbr.roundCount
            estimates.append(path.bbr.bandwidth)
        }
        let growing = estimates.filter { $0 > 0 && $0 < 6_000_000 }
        #expect(growing.count >= 4)
        for (before, after) in zip(growing, growing.dropFirst()) { #expect(per(after, of: before) > 1.6) }
        let first = growing[0]
        let last = growing[growing.count - 1]
        #expect(per(last, of: first) >= Double(1 << (growing.count - 1)) * 0.8)
    }

    @Test(
        "Exiting Acceleration Based on Bandwidth Plateau: three rounds without a quarter's growth, then Drain [BBR-7]")
    func plateau() {
        var path = Bottleneck(deep)
        #expect(path.bbr.state == .startup)
        #expect(path.bbr.pacingGain == 277)
        var full: UInt32?
        while path.bbr.state == .startup, path.step(before: Instant(nanoseconds: 3_000_000_000)) {
            if full == nil && path.bbr.bandwidth > 1_200_000 { full = path.bbr.roundCount }
        }
        #expect(path.bbr.state == .drain)
        #expect(path.bbr.wasFull)
        #expect(path.bbr.isFullNow)
        #expect(path.bbr.longTermInFlight == BBR.unbounded)
        #expect((3...4).contains(path.bbr.roundCount - (full ?? 0)))
        #expect(abs(per(path.bbr.maximumBandwidth, of: deep.rate) - 1) < 0.02)
        #expect(path.dropped == 0)
    }

    @Test("Exiting Startup Based on Packet Loss: a queue that overflows ends Startup, at what was delivered [BBR-8]")
    func startupLoss() {
        var path = Bottleneck(shallow)
        let left = path.run(until: .drain)
        #expect(left)
        #expect(path.bbr.wasFull)
        #expect(per(path.bbr.longTermInFlight, of: path.product) > 0.7)
        #expect(per(path.bbr.longTermInFlight, of: path.product) < 1.3)
    }

    @Test("Exiting Startup Based on Packet Loss: it counts when the application is the limit, too")
    func startupLossWhenLimited() {
        var path = Bottleneck(deep)
        path.backlog = 0
        path.write = (14_480, 20_000_000)
        path.run(seconds: 0.5)
        #expect(path.bbr.state == .startup)
        path.link.loss = 400_000
        let left = path.run(until: .drain)
        #expect(left)
        #expect(path.bbr.longTermInFlight != BBR.unbounded)
    }

    @Test("Startup goes on while the application is the limit and nothing is lost; ProbeRTT leads back to it")
    func staysInStartup() {
        var path = Bottleneck(deep)
        path.backlog = 0
        path.write = (1448, 20_000_000)
        path.run(seconds: 11)
        #expect(!path.bbr.wasFull)
        let states = path.changes.map(\.state)
        #expect(states.allSatisfy { $0 == .startup || $0 == .probeRoundTrip })
        #expect(states.starts(with: [.startup, .probeRoundTrip, .startup]))
    }

    @Test("Drain: at half the bandwidth until what is in flight is the estimated BDP [BBR-9]")
    func drain() {
        var path = Bottleneck(deep)
        let isDraining = path.run(until: .drain)
        #expect(isDraining)
        #expect(path.bbr.pacingGain == 50)
        #expect(path.bbr.pacingRate < UInt64(deep.rate) * 51 / 100)
        #expect(per(path.inFlight, of: path.product) > 1.7)
        let start = path.now
        while path.bbr.state == .drain, path.step(before: .distantFuture) {}
        #expect(path.bbr.state == .probeDown || path.bbr.state == .probeCruise)
        #expect(per(path.inFlight, of: path.product) < 1.15)
        #expect((path.now - start).nanoseconds < 4 * deep.roundTrip)
    }

    @Test("Drain: three round trips are the most, however much is in flight [BBR-9]")
    func drainTime() {
        var path = Bottleneck(deep)
        let isDraining = path.run(until: .drain)
        #expect(isDraining)
        let round = path.bbr.roundCount
        path.link.rate /= 4
        while path.bbr.state == .drain, path.step(before: .distantFuture) {}
        #expect(path.bbr.roundCount - round == 4)
        #expect(per(path.inFlight, of: path.product) > 1.5)
    }

    @Test("ProbeBW: down, cruise, refill, up, in turn; no queue while it cruises [BBR-10]")
    func cycle() {
        var path = Bottleneck(deep)
        path.run(seconds: 4.9)
        let states = path.changes.map(\.state)
        #expect(states.starts(with: [.startup, .drain]))
        #expect(states.filter { $0 == .probeUp }.count >= 2)
        let next: [BBR.State: Set<BBR.State>] = [
            .startup: [.drain], .drain: [.probeDown, .probeCruise], .probeDown: [.probeCruise],
            .probeCruise: [.probeRefill], .probeRefill: [.probeUp], .probeUp: [.probeDown],
        ]
        for (from, to) in zip(states, states.dropFirst()) { #expect(next[from, default: []].contains(to)) }
        let isCruising = path.run(until: .probeCruise)
        #expect(isCruising)
        #expect(per(path.inFlight, of: path.product) >= 0.95)
        #expect(per(path.inFlight, of: path.product) <= 1.25)
        #expect(path.queued < path.product / 4)
        #expect(abs(per(path.bbr.bandwidth, of: deep.rate) - 1) < 0.03)
    }

    @Test("ProbeBW_DOWN and ProbeBW_UP: the gains of the table; up ends when the rate grows no more")
    func gains() {
        var path = Bottleneck(deep)
        for (state, pacing, window) in [
            (BBR.State.probeRefill, 100, 200), (.probeUp, 125, 225), (.probeDown, 90, 200), (.probeCruise, 100, 200),
        ] {
            let isThere = path.run(until: state)
            #expect(isThere)
            #expect(path.bbr.pacingGain == UInt64(pacing))
            #expect(path.bbr.windowGain == UInt64(window))
            let rate = Double(path.bbr.bandwidth) * Double(pacing) / 100 * 0.99
            #expect(abs(Double(path.bbr.pacingRate) - rate) <= 2)
            if state == .probeDown { #expect(path.bbr.isFullNow) }
        }
    }

    @Test("ProbeBW_REFILL: one round trip, and the short-term bounds are forgotten")
    func refill() {
        var link = deep
        link.loss = 20_000
        var path = Bottleneck(link)
        let isCruising = path.run(until: .probeCruise)
        #expect(isCruising)
        while path.bbr.shortTermInFlight == BBR.unbounded, path.step(before: .distantFuture) {}
        #expect(path.bbr.shortTermBandwidth != BBR.unboundedRate)
        let isRefilling = path.run(until: .probeRefill)
        #expect(isRefilling)
        #expect(path.bbr.shortTermInFlight == BBR.unbounded)
        #expect(path.bbr.shortTermBandwidth == BBR.unboundedRate)
        let round = path.bbr.roundCount
        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        #expect(path.bbr.roundCount - round == 1)
    }

    @Test("Exit Conditions for Bandwidth Probing: losses end the probe at once, and bound what is in flight [BBR-10]")
    func probeLoss() {
        var path = Bottleneck(deep)
        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        #expect(path.bbr.longTermInFlight == BBR.unbounded)
        path.link.queue = 6_000
        let round = path.bbr.roundCount
        let isDown = path.run(until: .probeDown)
        #expect(isDown)
        #expect(path.bbr.roundCount - round <= 2)
        #expect(path.bbr.longTermInFlight != BBR.unbounded)
        #expect(per(path.bbr.longTermInFlight, of: path.product) > 0.7)
        #expect(per(path.bbr.longTermInFlight, of: path.product) < 1.5)
    }

    @Test("ProbeBW_CRUISE: below the long-term bound by the headroom")
    func headroom() {
        var path = Bottleneck(shallow)
        path.run(seconds: 2)
        let isCruising = path.run(until: .probeCruise)
        #expect(isCruising)
        path.run(seconds: 0.2)
        #expect(path.bbr.state == .probeCruise)
        #expect(per(path.bbr.window, of: path.bbr.longTermInFlight) <= 0.8501)
        #expect(path.inFlight <= Int(path.bbr.window))
    }

    @Test("Precautionary Bandwidth Probing: after a probe that went too high a short one, then at once one in earnest")
    func precaution() {
        var path = Bottleneck(shallow)
        path.run(seconds: 4)
        #expect(path.bbr.longTermInFlight != BBR.unbounded)
        let before = path.changes.count
        path.link.queue = 400_000
        path.run(seconds: 8)
        let changes = Array(path.changes.dropFirst(before))
        var found = 0
        for index in changes.indices.dropLast(2)
        where changes[index].state == .probeUp && changes[index + 1].state == .probeDown
            && changes[index + 2].state == .probeRefill
        {
            let up = (changes[index + 1].at - changes[index].at).nanoseconds
            let down = (changes[index + 2].at - changes[index + 1].at).nanoseconds
            if up < 2 * shallow.roundTrip && down < 2 * shallow.roundTrip { found += 1 }
        }
        #expect(found > 0)
    }

    @Test(
        "Time Scale for Bandwidth Probing: two to three seconds on a long path, 62 or 63 round trips on a short one [BBR-11]"
    )
    func probeWait() {
        var waits: Set<Int64> = []
        for seed in 1...4 as ClosedRange<UInt32> {
            var path = Bottleneck(
                Bottleneck.Link(rate: 2_500_000, roundTrip: 80_000_000, queue: 400_000), segment: 1448, seed: seed)
            let isDown = path.run(until: .probeCruise)
            #expect(isDown)
            let start = path.now
            let isRefilling = path.run(until: .probeRefill)
            #expect(isRefilling)
            let wait = (path.now - start).nanoseconds
            waits.insert(wait)
            #expect(wait > 1_900_000_000 && wait < 3_100_000_000)
        }
        #expect(waits.count > 1)
        var path = Bottleneck(Bottleneck.Link(rate: 12_500_000, roundTrip: 10_000_000, queue: 400_000))
        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        let isDown = path.run(until: .probeDown)
        #expect(isDown)
        let round = path.bbr.roundCount
        let isRefilling = path.run(until: .probeRefill)
        #expect(isRefilling)
        #expect((62...63).contains(path.bbr.roundCount - round))
    }

    @Test("Bandwidth Probing and Coexistence with Reno/CUBIC: a small flight probes as often as Reno would [BBR-11]")
    func renoScale() {
        // A product of 17 segments, at the most: some twenty round trips from one probe to the next.
        var path = Bottleneck(Bottleneck.Link(rate: 1_250_000, roundTrip: 20_000_000, queue: 100_000))
        path.run(seconds: 1)
        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        let isDown = path.run(until: .probeDown)
        #expect(isDown)
        let round = path.bbr.roundCount
        let isRefilling = path.run(until: .probeRefill)
        #expect(isRefilling)
        #expect((14...19).contains(path.bbr.roundCount - round))
    }

    @Test(
        "ProbeRTT: five seconds after the least round trip was last seen, half the BDP in flight, for 200 ms and a round trip [BBR-12]"
    )
    func probeRoundTrip() {
        var path = Bottleneck(deep)
        path.run(seconds: 2)
        // On a longer path nothing comes near the least round trip any more.
        path.link.roundTrip += deep.roundTrip / 8
        path.run(seconds: 0.5)
        let seen = path.bbr.probeMinimumTime
        let isProbing = path.run(until: .probeRoundTrip)
        #expect(isProbing)
        let waited = path.now.nanoseconds - seen
        #expect(waited > 5_000_000_000 && waited < 5_300_000_000)
        let index = path.changes.count - 1
        path.run(seconds: 0.15)
        #expect(path.bbr.state == .probeRoundTrip)
        #expect(path.bbr.windowGain == 50)
        #expect(per(path.inFlight, of: path.product) <= 0.55)
        path.run(seconds: 1)
        let length = (path.changes[index + 1].at - path.changes[index].at).nanoseconds
        #expect(length >= 200_000_000 && length < 400_000_000)
        #expect(path.changes[index + 1].state == .probeCruise)
    }

    @Test("ProbeRTT: none while the path shows the least round trip, or shorter ones, by itself [BBR-12]")
    func noProbeRoundTrip() {
        var path = Bottleneck(deep)
        for _ in 0..<4 {
            path.run(seconds: 4)
            path.link.roundTrip -= 3_000_000
        }
        #expect(path.changes.allSatisfy { $0.state != .probeRoundTrip })
        #expect(path.bbr.minimumRoundTrip < deep.roundTrip - 6_000_000)
        path.run(seconds: 12)
        #expect(path.changes.allSatisfy { $0.state != .probeRoundTrip })
        path.link.roundTrip += deep.roundTrip / 8
        path.run(seconds: 6)
        #expect(path.changes.contains { $0.state == .probeRoundTrip })
    }

    @Test("Estimated Minimum Round-Trip Time: a longer path is believed after ten seconds")
    func longerPath() {
        var path = Bottleneck(deep)
        path.run(seconds: 3)
        path.link.roundTrip = 60_000_000
        path.run(seconds: 4)
        #expect(path.bbr.minimumRoundTrip < 45_000_000)
        path.run(seconds: 13)
        #expect(abs(per(path.bbr.minimumRoundTrip, of: 60_000_000) - 1) < 0.05)
    }
}
