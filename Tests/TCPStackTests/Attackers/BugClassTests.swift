import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What other stacks got wrong, played at length: each rule has its plain test elsewhere.
@Suite("Faults that other stacks had, at length")
struct BugClassTests {
    @Test(
        "A window shrunk to 0, to 1 or below what is in flight at every single ACK of a transfer loses no octet and stalls nothing [B-17, MUST-34, SHLD-15]",
        arguments: Family.allCases, [UInt16(0), 1, 2000])
    func shrinkAtEveryMoment(family: Family, window: UInt16) {
        let total = 40_000
        for moment in stride(from: 0, to: 30, by: attacks(1, debug: 5)) {
            let peer = ScriptedPeer(family)
            peer.establish()
            peer.write(total)
            var acknowledgments = 0
            for _ in 0..<400 where peer.received < total + 1 {
                peer.discard()
                if acknowledgments == moment {
                    peer.send(.ack, ack: max(1, peer.received - 3000), window: window)
                    // The peer holds to it for a second, and answers what comes.
                    for _ in 0..<10 {
                        peer.host.advance(by: .milliseconds(100))
                        if peer.discard() > 0 { peer.send(.ack, window: window) }
                    }
                }
                peer.send(.ack, ack: acknowledgments < 30 ? min(peer.received, 1 + acknowledgments * 1460) : nil)
                acknowledgments += 1
                peer.host.advance(by: .milliseconds(10))
            }
            #expect(peer.received == total + 1, "shrunk at the ACK \(moment)")
            #expect(peer.host.stack.audit() == nil)
        }
    }

    @Test(
        "Duplicate ACKs and window updates for 35 RTOs put no retransmission off: besides the fast one they come when they come in silence [B-29, 6298-6]",
        arguments: Family.allCases, [20, 70, 150])
    func duplicatesForManyTimeouts(family: Family, every: Int) {
        func times(_ answers: ((ScriptedPeer, Int) -> Void)?) -> [Int64] {
            let peer = ScriptedPeer(family)
            peer.establish()
            peer.write(8 * 1400)
            peer.discard()
            let start = peer.host.now
            var again: [Int64] = []
            var step = 0
            while peer.host.now < start + .seconds(7) {
                peer.host.advance(by: .milliseconds(every))
                again += peer.pending.filter { peer.relative($0) == 1 }.map {
                    ($0.time.nanoseconds - start.nanoseconds) / 1_000_000
                }
                peer.discard()
                answers?(peer, step)
                step += 1
            }
            return again
        }
        let silent = times(nil)
        #expect(silent.count == 5 && silent.allSatisfy { $0 >= 200 }, "\(silent)")
        let duplicates = times { peer, _ in peer.send(.ack, ack: 1) }
        let updates = times { peer, step in peer.send(.ack, ack: 1, window: UInt16(40_000 + step)) }
        for time in silent {
            #expect(duplicates.contains { abs($0 - time) <= 1 }, "\(duplicates) with duplicates, \(silent) in silence")
            #expect(updates.contains { abs($0 - time) <= 1 }, "\(updates) with updates, \(silent) in silence")
        }
        #expect(duplicates.count == (every < 67 ? 6 : 5) && updates.count == 5, "\(duplicates), \(updates)")
    }

    @Test(
        "Super-segments of 2 to 44 segments, merged in order, out of it, and over what came before, are taken to the octet and acknowledged [B-40, B-28]",
        arguments: Family.allCases, [false, true])
    func merged(family: Family, sack: Bool) {
        var random = Pseudorandom(seed: 40)
        for _ in 0..<attacks(8, debug: 1) {
            let peer = ScriptedPeer(family, offer: sack ? .sack : .plain)
            peer.establish()
            let total = 60_000
            for _ in 0..<attacks(40, debug: 12) {
                let start = 1 + Int(random.next() % 59_000)
                let count = min(1 + total - start, 1460 * Int(2 + random.next() % 43))
                let octets = (start..<start + count).map { peer.octet($0) }
                let injection = segment(peer, at: start, octets)
                var metadata = PacketMetadata()
                metadata.segmentSize = 1460
                peer.host.inject(injection.packet(), metadata: metadata)
                peer.discard()
            }
            let octets = (1...total).map { peer.octet($0) }
            peer.host.inject(segment(peer, at: 1, octets).packet())
            peer.host.advance(by: .milliseconds(100))
            #expect(peer.pending.last.map(peer.relativeAcknowledgment) == 1 + total)
            peer.expectRead(total)
            #expect(peer.host.stack.memory.recovery == 0 && peer.host.stack.audit() == nil)
        }
    }

    private func segment(_ peer: ScriptedPeer, at start: Int, _ octets: [UInt8]) -> Injection {
        var injection = Injection(
            source: peer.endpoint, destination: peer.target, sequence: peer.isn + start, flags: [.psh, .ack])
        injection.acknowledgment = (peer.stackISN ?? SequenceNumber(0)) + peer.received
        injection.payload = octets
        return injection
    }

    @Test(
        "ACKs of any part of a super-segment that was sent count, and the rest goes again from there [B-40]",
        arguments: Family.allCases)
    func partsOfSent(family: Family) {
        var configuration = Configuration()
        configuration.superSegments = true
        for part in [1, 1439, 1440, 1461, 7300, 10_000, 14_399] {
            let peer = ScriptedPeer(family, configuration)
            peer.establish()
            peer.write(14_400)
            #expect(peer.pending.contains { $0.length > 1460 })
            peer.discard()
            peer.received = 1 + part
            peer.send(.ack, ack: 1 + part)
            peer.discard()
            peer.host.advance(by: .milliseconds(250))
            #expect(peer.pending.first.map(peer.relative) == 1 + part, "acknowledged \(part)")
            peer.discard()
            peer.received = 14_401
            peer.send(.ack, ack: 14_401)
            #expect(peer.status?.unacknowledged == 0)
        }
    }

    @Test(
        "A FIN lost k times in FIN-WAIT-1, CLOSING or LAST-ACK, k from 0 to 7, closes all the same and leaves nothing but TIME-WAIT [B-6, B-8, U-15]",
        arguments: Family.allCases, [State.finWait1, .closing, .lastAck])
    func finLost(family: Family, state: State) {
        for losses in 0...7 {
            let peer = ScriptedPeer(family)
            peer.enter(state)
            let next = ScriptedPeer.receiveNext(in: state)
            for _ in 0..<losses {
                guard let again = peer.expect([.fin, .ack], seq: 1, within: .seconds(61)) else { return }
                #expect(again.length == 0)
            }
            peer.send(.ack, seq: next, ack: 2)
            if state == .finWait1 {
                peer.send([.fin, .ack], seq: next, ack: 2)
                peer.expect(.ack, seq: 2, ack: 2, within: .milliseconds(500))
            }
            peer.expectState(state == .lastAck ? .closed : .timeWait)
            peer.release()
            peer.host.advance(by: .seconds(61))
            let memory = peer.host.stack.memory
            #expect(memory.connectionCount == 0 && memory.timeWaitCount == 0 && memory.buffers == 0)
        }
    }
}
