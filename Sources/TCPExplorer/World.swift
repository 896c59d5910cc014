internal import TCPEngine
internal import TCPStack
internal import TCPWire

/// Two real stacks, their programs, the packets on their way, and the time. A move changes it; afterwards both stacks have
/// sent what they can, and all that there is to read was read.
final class World {
    let scene: Scene
    let fault: PlantedFault?
    let hosts: [Host]
    var now = Instant.zero
    var flight: [InFlight] = []
    var copiesLeft: Int
    /// What is wrong, once something is.
    var finding: Finding?
    /// What the fair end did, in words, if anybody asks.
    var narration: [String]?
    /// What is drawn, if anything is.
    var recorder: Recorder?
    /// The ISNs of the SYNs each end sent, the latest first: what its sequence numbers are counted from.
    var bases: [[SequenceNumber]] = [[], []]
    private var buffer = [UInt8](repeating: 0, count: 2048)
    /// What the wire repeats, if it is planted to.
    private var repeated: [[UInt8]?] = [nil, nil]
    var hasChangedData = false
    var hidesChanges: Bool

    init(_ scene: Scene, seed: UInt64, fault: PlantedFault? = nil, recorder: Recorder? = nil) {
        self.scene = scene
        self.fault = fault
        self.recorder = recorder
        hosts = [Host(0, scene, seed: seed), Host(1, scene, seed: seed)]
        copiesLeft = scene.copies
        hidesChanges = fault == .hidesStateChange
        playPrelude()
        if fault == .forgedHandshake { forgeHandshake() }
    }

    func fail(_ rule: Finding.Rule, at host: Host? = nil, _ text: @autoclosure () -> String) {
        if finding == nil { finding = Finding(rule: rule, end: host?.index ?? 0, text: text()) }
    }

    // MARK: Moves

    /// Makes a move, and lets both ends do what follows.
    func make(_ move: Move) {
        recorder?.moves += 1
        switch move {
        case .deliver(let index): deliver(flight.remove(at: index))
        case .deliverCopy(let index):
            copiesLeft -= 1
            var copy = flight[index]
            recorder?.copied(&copy, self)
            deliver(copy)
        case .lose(let index):
            let packet = flight.remove(at: index)
            recorder?.lost(packet, self)
        case .timer(let end): fireTimer(end)
        case .act(let end): act(end)
        case .abort(let end): abort(end)
        }
        check()
    }

    /// A SYN, or the call that makes one, takes a tick of time, so that no two connections have one ISN (RFC 9293 §3.4.1: its
    /// clock goes every four microseconds). All else takes none.
    private func passTick() { now = now.advanced(byNanoseconds: RTTEstimator.tick) }

    func deliver(_ packet: InFlight) {
        if packet.isSyn { passTick() }
        let host = hosts[packet.destination]
        recorder?.arrived(packet, self)
        if fault == .wireRepeats { repeated[packet.destination] = packet.bytes }
        host.stack.receive(packet.bytes.span.bytes, at: now)
        pump(host)
    }

    /// How much earlier than this end's timer the other end's may have been due: a host may be that late.
    static let lateness: Int64 = 500_000_000

    /// When the end's next timer fires; `nil` when none may.
    func timer(_ end: Int) -> Instant? {
        if end == 0, fault == .stoppedClock { return nil }
        guard let due = nextTimer(end) else { return nil }
        if let other = nextTimer(1 - end), other.advanced(byNanoseconds: World.lateness) < due { return nil }
        return due
    }

    private func nextTimer(_ end: Int) -> Instant? { hosts[end].stack.inspect().lazy.compactMap(\.nextTimer).min() }

    private func fireTimer(_ end: Int) {
        guard let due = nextTimer(end) else { return }
        passTime(to: due)
        advance(end, due: due)
    }

    /// Lets time pass for the packets on their way.
    func passTime(to due: Instant) {
        guard due > now else { return }
        let eighth = scene.configuration.maximumSegmentLifetime.nanoseconds / InFlight.lifetime
        let used = (due.nanoseconds - now.nanoseconds + eighth - 1) / eighth
        now = due
        for index in flight.indices { flight[index].life -= used }
        if let recorder { for packet in flight where packet.life <= 0 { recorder.lost(packet, self) } }
        flight.removeAll { $0.life <= 0 }
    }

    /// Fires what is due at one end, in the way a program would: by the deadlines the stack gives.
    func advance(_ end: Int, due: Instant) {
        let host = hosts[end]
        var steps = 0
        while let deadline = host.stack.nextDeadline, deadline <= now, !(fault == .unfiredTimers && end == 0) {
            host.stack.advance(to: now)
            steps += 1
            if steps > 1000 { break }
        }
        pump(host)
        if steps > 1000 || host.stack.inspect().contains(where: { $0.nextTimer.map { $0 <= due } ?? false }) {
            fail(.timers, at: host, "The \(host.name) has a timer that was due, and it did not fire.")
        }
    }

    /// What may happen next, each different thing once.
    func moves() -> [Move] {
        var result: [Move] = []
        for index in flight.indices {
            let isRepeated = flight[..<index].contains {
                $0.destination == flight[index].destination && $0.life == flight[index].life
                    && $0.bytes == flight[index].bytes
            }
            guard !isRepeated else { continue }
            result.append(.deliver(index))
            if copiesLeft > 0 { result.append(.deliverCopy(index)) }
            result.append(.lose(index))
        }
        for end in 0...1 {
            if timer(end) != nil { result.append(.timer(end)) }
            if mayAct(end) { result.append(.act(end)) }
            if mayAbort(end) { result.append(.abort(end)) }
        }
        return result
    }

    // MARK: What follows a move

    /// Tells the program what happened, reads, and sends, until nothing is left to do.
    func pump(_ host: Host) {
        while true {
            serve(host)
            guard host.stack.wantsToTransmit else { break }
            var packets = 0
            var scratch: [UInt8] = []
            swap(&scratch, &buffer)
            while packets < 100, let length = transmit(host, &scratch) {
                emit(Array(scratch[..<length]), from: host)
                packets += 1
            }
            swap(&scratch, &buffer)
            if packets == 100 { fail(.storm, at: host, "The \(host.name) sends without end.") }
            if packets == 0 || packets == 100 { break }
        }
        takeChanges(host)
        note(host)
    }

    private func transmit(_ host: Host, _ scratch: inout [UInt8]) -> Int? {
        var span = scratch.mutableSpan
        var bytes = span.mutableBytes
        return host.stack.transmit(into: &bytes, at: now)?.length
    }

    private func emit(_ bytes: [UInt8], from host: Host) {
        var packet = InFlight(bytes: bytes, destination: 1 - host.index)
        if packet.isSyn, bases[host.index].first != packet.sequence {
            bases[host.index].insert(packet.sequence, at: 0)
        }
        if fault == .wireChangesData || fault == .wireAddsFin { tamper(&packet) }
        recorder?.sent(&packet, host, self)
        flight.append(packet)
        if let bytes = repeated[host.index], host.index == 0 { host.stack.receive(bytes.span.bytes, at: now) }
    }

    /// Takes down which connections the end has.
    private func note(_ host: Host) {
        for flow in host.stack.inspect() {
            if let local = flow.initial, let remote = flow.peerInitial {
                host.pairs.insert(SequencePair(local: local, remote: remote))
            }
        }
    }
}
