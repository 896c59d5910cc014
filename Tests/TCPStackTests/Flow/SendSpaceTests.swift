import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What a program may queue follows the congestion window, and a window that it does not fill falls (RFC 2861).
@Suite("Send buffers that follow the window, and windows that follow the program")
struct SendSpaceTests {
    static let trip = Duration.milliseconds(10)

    private func peer(_ family: Family, _ change: (inout Configuration) -> Void = { _ in }) -> ScriptedPeer {
        var configuration = Configuration()
        change(&configuration)
        let peer = ScriptedPeer(
            family, configuration, offer: ScriptedPeer.Offer(mss: 1400, windowScale: 9, sack: true), fitted: true)
        peer.establish(rtt: SendSpaceTests.trip)
        return peer
    }

    @Test(
        "A program may queue 64 KiB at first, and twice the congestion window when that is more",
        arguments: Family.allCases)
    func growth(family: Family) {
        let peer = peer(family)
        #expect(peer.status?.room == 64 << 10)
        #expect(peer.write(100_000) == 64 << 10)
        while peer.window(segments: 1400) < 50 { peer.answer(refilling: true) }
        let status = peer.status
        let most = 2 * (status?.congestionWindow ?? 0)
        #expect(most > 64 << 10)
        #expect((status?.room ?? 0) + (status?.unacknowledged ?? 0) == most)
        #expect(peer.host.stack.audit() == nil)
    }

    @Test("After a timeout it falls back, what is queued stays, and the writer is told when there is room again")
    func shrinking() {
        let peer = peer(.ipv4)
        peer.write(100_000)
        while peer.window(segments: 1400) < 60 { peer.answer(refilling: true) }
        peer.write(1 << 20)
        let queued = peer.status?.unacknowledged ?? 0
        #expect(queued > 100_000 && peer.status?.room == 0)
        peer.host.advance(by: .milliseconds(1500))
        #expect(peer.window(segments: 1400) <= 1)
        #expect(peer.status?.room == 0 && peer.status?.unacknowledged == queued)
        _ = peer.takeReadiness()
        var wasTold = false
        for _ in 0..<200 where !wasTold {
            peer.answer(refilling: false)
            wasTold = peer.takeReadiness().contains(.writable)
        }
        #expect(wasTold && (peer.status?.room ?? 0) > 0)
        #expect(peer.host.stack.audit() == nil)
    }

    @Test("It leaves as much free as it takes below the mark where windows shrink")
    func share() {
        let peer = peer(.ipv4) { $0.memoryBudget = 512 << 10 }
        peer.write(100_000)
        for _ in 0..<16 { peer.answer(refilling: true) }
        #expect(peer.window(segments: 1400) > 60)
        let status = peer.status
        let most = (status?.room ?? 0) + (status?.unacknowledged ?? 0)
        // Half of 55 per cent.
        #expect(most <= (512 << 10) * 55 / 200 && most > 100_000, "\(most)")
        #expect(peer.host.stack.audit() == nil)
    }

    @Test("A writer that was refused is told once a third is free")
    func third() {
        let peer = peer(.ipv4) { $0.initialSendBuffer = 9 * 1400 }
        #expect(peer.write(40_000) == 2 * 14_000)
        _ = peer.takeReadiness()
        // Slow start: 12 segments are the window, 24 the buffer, of which 18 are taken.
        peer.send(.ack, ack: 1 + 2 * 1400)
        #expect(!peer.takeReadiness().contains(.writable) && peer.status?.room == 6 * 1400)
        // 14, 28, 16.
        peer.send(.ack, ack: 1 + 4 * 1400)
        #expect(peer.takeReadiness().contains(.writable) && peer.status?.room == 12 * 1400)
    }

    @Test("What the peer holds behind a hole leaves room for as much, and the writer is told")
    func heldByPeer() {
        let peer = peer(.ipv4) { $0.initialSendBuffer = 9 * 1400 }
        #expect(peer.write(40_000) == 2 * 14_000)
        _ = peer.takeReadiness()
        // Two segments past a hole are no loss yet (RFC 8985 §6.2), and nothing is acknowledged.
        peer.host.advance(by: SendSpaceTests.trip)
        peer.send(.ack, ack: 1, options: [.nop, .nop, .sack([1401..<4201])])
        #expect(peer.status?.room == 2 * 1400)
        #expect(peer.window(segments: 1400) == 10)
        // The more it holds, the more may follow.
        var configuration = Configuration()
        configuration.initialSendBuffer = 9 * 1400
        let modelled = ScriptedPeer(
            .ipv4, configuration, offer: ScriptedPeer.Offer(mss: 1400, windowScale: 9, sack: true), control: .bbr,
            fitted: true)
        modelled.establish(rtt: SendSpaceTests.trip)
        #expect(modelled.write(40_000) == 2 * 14_000)
        _ = modelled.takeReadiness()
        var isTold = false
        for end in [8, 12, 16, 20] where !isTold {
            modelled.send(.ack, ack: 1, options: [.nop, .nop, .sack([1401..<1 + end * 1400])])
            isTold = modelled.takeReadiness().contains(.writable)
        }
        #expect(isTold && modelled.host.stack.audit() == nil)
        #expect(peer.host.stack.audit() == nil)
    }

    // MARK: RFC 2861 §3

    @Test(
        "Not filled for a timeout, a window loses half of what was not used; three quarters are the threshold [5681-11]",
        arguments: Family.allCases)
    func decay(family: Family) {
        let peer = peer(family)
        peer.write(64 << 10)
        while peer.window(segments: 1400) < 50 { peer.answer(refilling: true) }
        while peer.status?.unacknowledged ?? 0 > 0 { peer.answer(refilling: false) }
        // What was in flight at the end counts once.
        let full = peer.status?.congestionWindow ?? 0
        for _ in 0..<40 where peer.status?.congestionWindow == full { peer.sendLittle(10) }
        let before = peer.status?.congestionWindow ?? 0
        #expect(before < full && before > 2 * 14_000)
        let timeout = peer.status?.retransmissionTimeout ?? .zero
        // Ten segments every 20 ms, for less than the timeout, and for more.
        let steps = Int(timeout / .milliseconds(20))
        for _ in 0..<steps - 3 { peer.sendLittle(10) }
        #expect(peer.status?.congestionWindow == before)
        for _ in 0..<6 { peer.sendLittle(10) }
        #expect(peer.status?.congestionWindow == (before + 14_000) / 2)
        #expect(peer.status?.slowStartThreshold ?? 0 >= before - before / 4)
        for _ in 0..<40 * steps { peer.sendLittle(1) }
        #expect(peer.status?.congestionWindow ?? 0 <= 14_000 + 1400, "never below a restart's")
        #expect(peer.status?.congestionWindow ?? 0 >= 14_000)
    }

    @Test("A program that fills it, and one that waits for room in its buffer, keep it")
    func kept() {
        let peer = peer(.ipv4)
        peer.write(64 << 10)
        while peer.window(segments: 1400) < 50 { peer.answer(refilling: true) }
        let before = peer.status?.congestionWindow ?? 0
        for _ in 0..<40 {
            peer.answer(refilling: true)
            peer.write(100_000)
        }
        #expect(peer.status?.congestionWindow ?? 0 >= before)
    }
}

extension ScriptedPeer {
    /// The congestion window in segments of that size.
    func window(segments: Int) -> Int { (status?.congestionWindow ?? 0) / segments }

    /// A round trip passes: every segment that is out is acknowledged, two at a time, and the program writes what it may.
    func answer(refilling: Bool) {
        let ends = pending.filter { $0.length > 0 }.map { relative($0) + $0.length }.sorted()
        discard()
        host.advance(by: SendSpaceTests.trip)
        for (index, end) in ends.enumerated() where index % 2 == 1 || index == ends.count - 1 { send(.ack, ack: end) }
        if refilling { write(32 << 10) }
        if ends.isEmpty, pending.isEmpty { host.advance(by: .milliseconds(300)) }
    }

    /// The program sends so many segments, which are acknowledged, and waits.
    func sendLittle(_ segments: Int) {
        write(segments * 1400)
        let ends = pending.filter { $0.length > 0 }.map { relative($0) + $0.length }
        discard()
        host.advance(by: SendSpaceTests.trip)
        if let end = ends.max() { send(.ack, ack: end) }
        host.advance(by: SendSpaceTests.trip)
    }
}
