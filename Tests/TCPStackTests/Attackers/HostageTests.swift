import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Peers that ask for data and shut the window for good (RFC 6429): what they hold, what they cause, and how it ends.
@Suite("Hostages of a shut window")
struct HostageTests {
    private static let hostages = attacks(1_000, debug: 120)
    private static let reply = 8_192

    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        /// Shuts the window with its request, and answers every probe.
        case shut
        /// Opens wide, takes nothing of what comes, and takes the window back.
        case shrinks
        /// Opens the window by an octet every few seconds, and shuts it again.
        case winks
        var testDescription: String { rawValue }
    }

    /// A stack that has answered every hostage, with one honest peer among them.
    private struct Scene {
        let target: Target
        var held: [Endpoint: Peer] = [:]
        var peers: [Peer] = []
        let honest: Peer
        let empty: Int
        var lasted: Duration = .zero
    }

    private func scene(
        _ family: Family, _ kind: Kind, releases: Bool, _ change: (inout Configuration) -> Void = { _ in }
    ) -> Scene {
        let target = Target(family, change)
        let honest = Peer(target, number: 9, port: 9999)
        #expect(honest.open())
        var scene = Scene(target: target, honest: honest, empty: target.stack.memory.total)
        for number in 0..<HostageTests.hostages {
            let peer = Peer(target, number: 100 + number / 50, port: UInt16(2000 + number % 50))
            #expect(peer.open())
            guard let id = peer.id else { continue }
            peer.send([.psh, .ack], payload: 10, window: kind == .shrinks ? 65_535 : 0)
            peer.next += 10
            #expect(target.read(id) == 10)
            #expect(target.write(id, HostageTests.reply) == HostageTests.reply)
            if releases { target.stack.release(id, at: target.now) }
            target.drain()
            if kind == .shrinks {
                peer.window = 0
                peer.send(.ack)
            }
            peer.window = 0
            scene.held[peer.endpoint] = peer
            scene.peers.append(peer)
        }
        scene.lasted = target.now - Instant(nanoseconds: 1_000_000_000)
        return scene
    }

    /// Lets time pass; hostages answer what they get, with the window shut and nothing acknowledged. Says how many segments
    /// and how many resets went to them.
    private func pass(_ scene: Scene, _ duration: Duration, winks: Bool) -> (segments: Int, resets: Int) {
        var segments = 0
        var resets = 0
        let end = scene.target.now + duration
        var ended: Set<Endpoint> = []
        while scene.target.now < end {
            var answered: [Peer] = []
            scene.target.pass(.milliseconds(500)) { answer in
                guard let peer = scene.held[answer.destination] else { return }
                segments += 1
                if answer.tcp.flags.contains(.rst) {
                    resets += 1
                    ended.insert(peer.endpoint)
                } else if answer.length > 0 || answer.tcp.flags.contains(.fin) {
                    answered.append(peer)
                }
            }
            for peer in answered where !ended.contains(peer.endpoint) { peer.send(.ack) }
            if winks, scene.target.now.nanoseconds % 8_000_000_000 < 500_000_000 {
                for peer in scene.peers where !ended.contains(peer.endpoint) {
                    peer.send(.ack, window: 1)
                    peer.send(.ack, window: 0)
                }
            }
            scene.target.drain { if scene.held[$0.destination] != nil { segments += 1 } }
        }
        return (segments, resets)
    }

    /// The honest peer asks for 100,000 octets, and gets them in how many round trips of 100 ms?
    private func serve(_ scene: Scene) -> Int {
        guard let id = scene.honest.id else { return .max }
        let peer = scene.honest
        var left = 100_000
        left -= scene.target.write(id, left)
        for trip in 1...40 {
            var end = peer.received
            scene.target.drain { if $0.destination == peer.endpoint { end = .later(end, $0.tcp.sequence + $0.length) } }
            scene.target.pass(.milliseconds(100)) {
                if $0.destination == peer.endpoint { end = .later(end, $0.tcp.sequence + $0.length) }
            }
            peer.received = end
            peer.send(.ack)
            left -= scene.target.write(id, left)
            if left == 0, peer.status?.unacknowledged == 0 { return trip }
        }
        return .max
    }

    @Test(
        "1,000 peers that shut the window for good hold 9,216 bytes each at most, draw 1 probe a minute each, and others are served as ever [RFC 6429, MUST-37, B-12, 5482-4]",
        arguments: Family.allCases, Kind.allCases)
    func held(family: Family, kind: Kind) {
        let scene = scene(family, kind, releases: false)
        let count = HostageTests.hostages
        let memory = scene.target.stack.memory
        let each = (memory.total - memory.idleBuffers - scene.empty) / MemoryTests.chunked(count)
        #expect(each <= HostageTests.reply + 1024, "\(each) bytes each")
        let trips = serve(scene)
        #expect(trips <= 8, "\(trips) round trips")
        // The probes back off to one a minute; a window that winks begins anew.
        _ = pass(scene, .seconds(120), winks: kind == .winks)
        let quiet = pass(scene, .seconds(120), winks: kind == .winks)
        #expect(quiet.segments <= count * (kind == .winks ? 120 : 3), "\(quiet.segments) segments in two minutes")
        #expect(quiet.resets == 0 && scene.peers.allSatisfy { $0.state == .established })
        #expect(serve(scene) <= 8)
        #expect(scene.target.fault == nil)
    }

    @Test(
        "A limit for shut windows ends 1,000 such peers by resets, in its time and leaving nothing [RFC 6429, 5482-4]",
        arguments: Family.allCases, Kind.allCases)
    func limited(family: Family, kind: Kind) {
        let scene = scene(family, kind, releases: false) { $0.zeroWindowTimeout = .seconds(60) }
        // The first began to wait when the scene began.
        let before = pass(scene, .seconds(59) - scene.lasted, winks: kind == .winks)
        #expect(before.resets == 0)
        let after = pass(scene, scene.lasted + .seconds(3), winks: kind == .winks)
        #expect(after.resets == HostageTests.hostages)
        #expect(scene.peers.allSatisfy { $0.status?.error == .timedOut })
        for peer in scene.peers { if let id = peer.id { scene.target.stack.release(id, at: scene.target.now) } }
        scene.target.events()
        scene.target.pass(.seconds(3))
        #expect(scene.target.stack.memory.connectionCount == 1 && scene.target.stack.memory.buffers == 0)
        #expect(scene.honest.state == .established && serve(scene) <= 8)
        #expect(scene.target.fault == nil)
    }

    @Test(
        "A program that has let go is no hostage: such connections end after R2 without a limit too, and leave nothing [RFC 6429, B-26]",
        arguments: Family.allCases, Kind.allCases)
    func released(family: Family, kind: Kind) {
        let scene = scene(family, kind, releases: true) { $0.userTimeout = .seconds(100) }
        #expect(pass(scene, .seconds(99) - scene.lasted, winks: kind == .winks).resets == 0)
        #expect(pass(scene, scene.lasted + .seconds(4), winks: kind == .winks).resets == HostageTests.hostages)
        scene.target.pass(.seconds(3))
        let memory = scene.target.stack.memory
        #expect(memory.connectionCount == 1 && memory.buffers == 0 && memory.recovery == 0)
        #expect(scene.target.fault == nil)
    }

    @Test(
        "The limit counts from when octets began to wait, not from when the window shut [RFC 6429 §3]",
        arguments: Family.allCases)
    func countsFromWrite(family: Family) {
        let target = Target(family) { $0.zeroWindowTimeout = .seconds(60) }
        let peer = Peer(target)
        #expect(peer.open())
        guard let id = peer.id else { return }
        peer.window = 0
        peer.send(.ack)
        target.pass(.seconds(1000))
        for isFin in [false, true] {
            if isFin { try? target.stack.close(id, at: target.now) } else { target.write(id, 1) }
            target.drain()
            // The peer answers every probe.
            for _ in 0..<59 {
                target.pass(.seconds(1))
                peer.send(.ack)
                target.drain()
            }
            #expect(peer.state == (isFin ? .finWait1 : .established))
            if isFin { break }
            peer.received += 1
            peer.send(.ack)
            target.pass(.seconds(1000))
        }
        target.pass(.seconds(2))
        #expect(peer.state == .closed && peer.status?.error == .timedOut)
    }

    @Test(
        "A window that opens in time ends nothing, and octets taken one by one put the limit off [MUST-37, RFC 6429]",
        arguments: Family.allCases)
    func slow(family: Family) {
        let target = Target(family) { $0.zeroWindowTimeout = .seconds(60) }
        let peer = Peer(target)
        #expect(peer.open())
        guard let id = peer.id else { return }
        peer.window = 0
        peer.send(.ack)
        target.write(id, 1000)
        target.drain()
        for _ in 0..<20 {
            // It takes the octet of the probe, and says so after a while.
            var got = 0
            target.pass(.seconds(50)) { got = max(got, $0.tcp.sequence.distance(from: peer.received) + $0.length) }
            #expect(got == 1)
            peer.received += got
            peer.send(.ack)
            target.drain()
        }
        #expect(peer.state == .established)
        peer.send(.ack, window: 65_535)
        var length = 0
        target.drain { length += $0.length }
        #expect(length == 980)
    }
}
