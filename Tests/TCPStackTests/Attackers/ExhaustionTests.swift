import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What there is a limited number of: places in TIME-WAIT, and ephemeral ports.
@Suite("Exhaustion")
struct ExhaustionTests {
    /// Closes a connection of peer `number` from the stack's side and leaves it in TIME-WAIT.
    private func close(_ target: Target, _ number: Int) -> Bool {
        let peer = Peer(
            target, number: 2 + number / 50_000, port: UInt16(1024 + number % 50_000),
            initial: UInt32(truncatingIfNeeded: number &* 7_919))
        guard peer.open(), let id = peer.id else { return false }
        try? target.stack.close(id, at: target.now)
        target.drain()
        peer.received += 1
        peer.send([.fin, .ack])
        target.drain()
        target.stack.release(id, at: target.now)
        target.events()
        return true
    }

    @Test(
        "10⁵ connections closed within 2 MSL cost 64 bytes each in TIME-WAIT, and nothing when it is over [MUST-13, U-41]",
        arguments: Family.allCases)
    func timeWait(family: Family) {
        let count = attacks(100_000, debug: 3_000)
        // Ten milliseconds a handshake: 10⁵ take 1,000 s.
        let target = Target(family) { $0.maximumSegmentLifetime = .seconds(600) }
        let empty = target.stack.memory
        for number in 0..<count where !close(target, number) {
            Issue.record("connection \(number) does not open")
            return
        }
        let memory = target.stack.memory
        #expect(memory.timeWaitCount == count && memory.connectionCount == 0)
        let each = (memory.total - memory.idleBuffers - empty.total) / MemoryTests.chunked(count)
        #expect(each <= 64, "\(each) bytes each")
        #expect(target.fault == nil)
        target.pass(.seconds(1202))
        #expect(target.stack.memory == empty && target.stack.nextDeadline == nil)
    }

    @Test(
        "At the budget's end the oldest of TIME-WAIT go first, and connections open on [RFC 1337, MUST-13]",
        arguments: Family.allCases)
    func timeWaitAtTheEnd(family: Family) {
        let target = Target(family) {
            $0.memoryBudget = 512 << 10
            $0.maximumSegmentLifetime = .seconds(600)
        }
        let count = 12_000
        for number in 0..<count where !close(target, number) {
            Issue.record("connection \(number) does not open")
            return
        }
        let ports = Set(target.stack.flows().map(\.remote.port))
        #expect(ports.count < count && ports.count > 2_000)
        // Those that are left are the latest, without a gap.
        #expect(ports == Set((count - ports.count..<count).map { UInt16(1024 + $0) }))
        #expect(target.fault == nil)
    }

    @Test(
        "RFC 1337: old data, old and future ACKs and RSTs at every offset leave TIME-WAIT alone; the RST at RCV.NXT alone ends it [5961-1, U-41]",
        arguments: Family.allCases)
    func assassination(family: Family) {
        let offsets = [
            Int(Int32.min), -(1 << 30), -65_536, -1461, -1460, -2, -1, 1, 2, 1459, 1460, 32_768, 65_534, 65_535, 65_536,
            1 << 20, 1 << 30, Int(Int32.max),
        ]
        for offer in [ScriptedPeer.Offer.plain, .full] {
            let peer = ScriptedPeer(family, offer: offer)
            peer.enter(.timeWait)
            let start = peer.host.now
            peer.checksLedger = false
            for offset in offsets {
                peer.send(.rst, seq: 2 + offset)
                peer.send([.rst, .ack], seq: 2 + offset)
                peer.send(.ack, seq: 2 + offset)
                peer.send([.psh, .ack], seq: 2 + offset, length: 100)
                peer.send(.ack, seq: 2, ack: 2 + offset)
                peer.expectState(.timeWait)
                // Answers are acknowledgments of what was there all the while.
                for answer in peer.pending {
                    #expect(answer.flags == .ack && peer.relativeAcknowledgment(answer) == 2)
                }
                peer.discard()
            }
            // Nor is it made longer or shorter by them.
            peer.host.advance(to: start + .seconds(59)) { false }
            peer.expectState(.timeWait)
            peer.send(.rst, seq: 2)
            peer.expectState(.closed)
        }
    }

    @Test(
        "RFC 1337: after a TIME-WAIT that was cut short the octets of the old connection do not enter the next: their timestamps are old [RFC 7323 §5, 6528-1]",
        arguments: Family.allCases)
    func afterAssassination(family: Family) {
        let peer = ScriptedPeer(family, offer: .timestamps)
        peer.enter(.timeWait)
        let old = peer.timestamp
        guard let oldISN = peer.stackISN else { return }
        // An old duplicate draws an ACK, and the peer, which knows of nothing any more, answers that with a reset.
        peer.send([.psh, .ack], seq: -1000, length: 100)
        peer.expect(.ack, seq: 2, ack: 2)
        peer.send(.rst, seq: 2)
        peer.expectState(.closed)
        peer.host.advance(by: .milliseconds(20))
        // The next connection begins a little before the old duplicate's number.
        let next = ScriptedPeer(family, host: peer.host, isn: 0x2000_0000 &- 2000, offer: .timestamps)
        next.listener = peer.listener
        next.timestampBase = peer.timestampBase
        next.establish()
        #expect((next.stackISN ?? oldISN) > oldISN + 2)
        next.send([.psh, .ack], seq: 1000, length: 100, options: [.nop, .nop, .timestamps(old &- 500, echo: 0)])
        next.expect(.ack, ack: 1)
        next.send(length: 2000)
        next.expectRead(2000)
    }

    @Test(
        "16,384 connections to one endpoint take all its ports; the next is told so, other endpoints open, and a port is free again with each that ends [6528-2]",
        arguments: Family.allCases)
    func ports(family: Family) throws {
        let target = Target(family, backlog: nil) { $0.openTimeout = .seconds(1) }
        let remote = Endpoint(family.address(2), 443)
        var ids: [ConnectionID] = []
        var ports: Set<UInt16> = []
        for _ in 0..<16_384 {
            let id = try target.stack.connect(to: remote, at: target.now)
            ids.append(id)
            if let port = target.stack.status(of: id)?.local.port { ports.insert(port) }
        }
        #expect(ports.count == 16_384 && ports.allSatisfy { $0 >= 49_152 })
        #expect(throws: OpenError.noPortLeft) { try target.stack.connect(to: remote, at: target.now) }
        // Another port, another host, and a port that is named: none of them stands in the way.
        for other in [Endpoint(remote.address, 80), Endpoint(family.address(3), 443)] {
            _ = try target.stack.connect(to: other, at: target.now)
        }
        _ = try target.stack.connect(to: remote, port: 1024, at: target.now)
        #expect(throws: OpenError.noPortLeft) { try target.stack.connect(to: remote, at: target.now) }
        for index in [0, 8191, 16_383] {
            let freed = target.stack.status(of: ids[index])?.local.port
            target.stack.abort(ids[index], at: target.now)
            ids[index] = try target.stack.connect(to: remote, at: target.now)
            #expect(target.stack.status(of: ids[index])?.local.port == freed)
            #expect(throws: OpenError.noPortLeft) { try target.stack.connect(to: remote, at: target.now) }
        }
        target.drain()
        target.pass(.seconds(3))
        // All have given up, none was released: the handles are the program's, the ports are free.
        #expect(target.stack.status(of: ids[1])?.error == .timedOut)
        _ = try target.stack.connect(to: remote, at: target.now)
        #expect(target.fault == nil)
    }
}
