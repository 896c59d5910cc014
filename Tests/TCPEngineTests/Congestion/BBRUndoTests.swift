import TCPEngine
import TCPWire
import Testing

private let deep = Bottleneck.Link(rate: 1_250_000, roundTrip: 40_000_000, queue: 400_000)

@Suite("BBR: undoing a recovery that was for nothing (draft-ietf-ccwg-bbr §5.5.11), and what never happens")
struct BBRUndoTests {
    @Test(
        "Handling a Spurious Loss Recovery: the window and the bounds are what they were, the probe begins again [BBR-16]"
    )
    func undoProbe() {
        var path = Bottleneck(deep)
        let isUp = path.run(until: .probeUp)
        #expect(isUp)
        path.loseNow(segments: 5)
        path.bbr.enterRecovery()
        #expect(path.bbr.state == .probeDown)
        #expect(path.bbr.longTermInFlight != BBR.unbounded)
        path.run(seconds: 0.02)
        path.bbr.undo(path.rate)
        #expect(path.bbr.state == .probeRefill)
        #expect(path.bbr.longTermInFlight == BBR.unbounded)
        #expect(path.bbr.shortTermInFlight == BBR.unbounded)
        #expect(!path.bbr.isFullNow)
        let isUpAgain = path.run(until: .probeUp)
        #expect(isUpAgain)
    }

    @Test("Saving State Upon Loss Recovery: losses of later round trips do not change what is gone back to")
    func savedOnce() {
        var path = Bottleneck(deep)
        path.run(seconds: 1)
        #expect(path.bbr.state == .probeCruise)
        path.loseNow()
        path.bbr.enterRecovery()
        for _ in 0..<4 {
            path.run(seconds: 0.06)
            path.loseNow()
        }
        #expect(path.bbr.shortTermInFlight != BBR.unbounded)
        path.bbr.undo(path.rate)
        #expect(path.bbr.shortTermInFlight == BBR.unbounded)
        #expect(path.bbr.shortTermBandwidth == BBR.unboundedRate)
    }

    @Test("Handling a Spurious Loss Recovery: Startup that losses ended goes on [BBR-16]")
    func undoStartup() {
        var path = Bottleneck(Bottleneck.Link(rate: 5_000_000, roundTrip: 50_000_000, queue: 8_000))
        while path.bbr.state == .startup, path.step(before: .distantFuture) {}
        #expect(path.bbr.wasFull)
        #expect(path.bbr.longTermInFlight != BBR.unbounded)
        path.bbr.undo(path.rate)
        #expect(path.bbr.state == .startup)
        #expect(!path.bbr.wasFull)
        #expect(path.bbr.longTermInFlight == BBR.unbounded)
    }

    @Test("Handling a Spurious Loss Recovery: a timeout that was none gives the window back [BBR-16]")
    func undoTimeout() {
        var path = Bottleneck(deep)
        path.run(seconds: 2)
        let window = path.bbr.window
        path.loseNow(segments: 20)
        path.bbr.timeout(inFlight: 0)
        #expect(path.bbr.window == 1448)
        path.bbr.undo(path.rate)
        #expect(path.bbr.window == window)
    }

    @Test("Nothing that a peer may acknowledge traps, stops the pacing, or opens the window beyond TCP's")
    func extremes() {
        var random: UInt64 = 88_172_645_463_325_252
        func next() -> UInt64 {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return random &>> (random & 63)
        }
        var bbr = BBR(segmentSize: 1448, now: .zero, initialWindow: 14480, smoothedRoundTrip: 40_000_000, random: 7)
        var rate = DeliveryRate(now: .zero)
        for _ in 0..<20_000 {
            var signal = CongestionSignal(
                now: Instant(nanoseconds: Int64(truncatingIfNeeded: next())), segmentSize: 1448)
            signal.inFlight = Int(truncatingIfNeeded: next())
            signal.inFlightBefore = Int(truncatingIfNeeded: next())
            signal.roundTrip = Int64(truncatingIfNeeded: next())
            signal.smoothedRoundTrip = Int64(truncatingIfNeeded: next())
            signal.isWindowLimited = next() & 1 == 0
            signal.segmentSize = Int(truncatingIfNeeded: next() & 0xFFFF)
            var sample = RateSample()
            sample.hasData = next() & 3 != 0
            sample.isAppLimited = next() & 1 == 0
            sample.deliveryRate = next() >> 2
            sample.delivered = UInt32(truncatingIfNeeded: next())
            sample.priorDelivered = next()
            sample.txInFlight = UInt32(truncatingIfNeeded: next())
            sample.lost = UInt32(truncatingIfNeeded: next())
            sample.newlyAcked = UInt32(truncatingIfNeeded: next())
            sample.roundTrip = Int64(truncatingIfNeeded: next() >> 1)
            rate.countDuplicate(Int(truncatingIfNeeded: next() >> 33))
            switch next() & 31 {
            case 0: bbr.timeout(inFlight: signal.inFlight)
            case 1: bbr.endRecovery()
            case 2: bbr.undo(rate)
            case 3: bbr.restartFromIdle(now: signal.now, rate)
            case 4: bbr.enterRecovery()
            case 5: bbr.markCongestion(signal, sample, rate)
            case 6, 7, 8, 9:
                let (stamp, word) = rate.stamp(now: signal.now, inFlightBefore: signal.inFlight, length: 1448)
                rate.lose(Int(truncatingIfNeeded: next() & 0xFFFF))
                bbr.lose(
                    stamp, word, octets: Int(truncatingIfNeeded: next()), from: SequenceNumber(UInt32(next() & 0xFFFF)),
                    rate, now: signal.now)
            default: break
            }
            bbr.acknowledge(signal, sample, &rate)
            #expect(bbr.window <= 1 << 30)
            #expect(bbr.window >= UInt32(4 * max(signal.segmentSize, 1)))
            #expect(bbr.pacingRate > 0)
            #expect(bbr.sendQuantum >= 2)
        }
    }

    @Test("The windowed maximum is one of the window's values, never one that has left it")
    func windowedMaximum() {
        var filter = WindowedMaximum()
        var values: [(time: UInt32, value: UInt32)] = []
        var random: UInt32 = 12345
        var time = UInt32.max - 300
        for _ in 0..<2000 {
            random = random &* 1_664_525 &+ 1_013_904_223
            if random >> 30 == 0 { time &+= random >> 20 & 3 }
            let value = random >> 8 & 0xFFFF
            filter.add(value, at: time, length: 10)
            values.append((time, value))
            let window = values.filter { time &- $0.time <= 10 }.map(\.value)
            #expect(window.contains(filter.value))
            let latest = values.filter { time &- $0.time <= 1 }.map(\.value).max() ?? 0
            #expect(filter.value >= min(latest, value))
        }
        filter.add(1, at: time &+ 50, length: 10)
        #expect(filter.value == 1)
    }
}
