internal import TCPEngine
internal import TCPStack
internal import TCPWire

// What happened before the exploration begins.
extension World {
    func playPrelude() {
        switch scene.prelude {
        case .idle, .listening: break
        case .established:
            open(hosts[0])
            pump(hosts[0])
            deliverAll()
            // The handshake is no part of the paths: their programs begin behind it.
            if scene.programmes[0].steps.first == .open { hosts[0].position = 1 }
        case .earlier(let kept): playEarlierConnection(kept)
        }
    }

    private func deliverAll() {
        while !flight.isEmpty { deliver(flight.removeFirst()) }
    }

    /// A connection that the server aborts, so that no TIME-WAIT stands between its packets and the next one.
    private func playEarlierConnection(_ kept: Set<OldPacket>) {
        var copies: [OldPacket: InFlight] = [:]
        func exchange() {
            while !flight.isEmpty {
                let packet = flight.removeFirst()
                if let kind = World.kind(packet) { copies[kind] = copies[kind] ?? packet }
                deliver(packet)
            }
        }
        open(hosts[0])
        pump(hosts[0])
        exchange()
        write(2, hosts[0])
        pump(hosts[0])
        exchange()
        for end in 0...1 {
            guard let due = hosts[end].stack.inspect().compactMap(\.nextTimer).min() else { continue }
            passTime(to: due)
            advance(end, due: due)
        }
        exchange()
        close(hosts[0])
        pump(hosts[0])
        exchange()
        abort(1)
        exchange()
        // About a second: a whole number of ticks, as all times here.
        passTime(to: now.advanced(byNanoseconds: 8192 * RTTEstimator.tick))
        for host in hosts { forget(host) }
        for kind in OldPacket.allCases where kept.contains(kind) {
            guard var packet = copies[kind] else {
                fail(.storm, "The earlier connection has no such packet: \(kind).")
                continue
            }
            // Part of its life is over.
            packet.life -= 1
            recorder?.injected(&packet, self)
            flight.append(packet)
        }
    }

    private func forget(_ host: Host) {
        host.earlierLives = host.lives.count
        host.lives = []
        host.pairs = []
        host.hasAborted = false
        host.position = 0
    }

    private static func kind(_ packet: InFlight) -> OldPacket? {
        guard let header = packet.header else { return nil }
        let length = packet.bytes.count - InFlight.networkHeader - header.headerLength
        if packet.destination == 1 {
            if header.flags.contains(.syn) { return .syn }
            if header.flags.contains(.fin) { return .fin }
            return length > 0 ? .data : nil
        }
        if header.flags.contains(.rst) { return .reset }
        if header.flags.contains(.syn) { return .synAck }
        return length == 0 ? .acknowledgment : nil
    }

    // MARK: Planted faults

    /// Changes the client's first data.
    func tamper(_ packet: inout InFlight) {
        guard !hasChangedData, packet.destination == 1, let header = packet.header else { return }
        let payload = InFlight.networkHeader + header.headerLength
        guard packet.bytes.count > payload else { return }
        hasChangedData = true
        if fault == .wireAddsFin {
            packet.bytes[InFlight.networkHeader + 13] |= 1
        } else {
            packet.bytes[payload] ^= 0x20
        }
        World.repairChecksum(&packet.bytes, from: hosts[0].local.address, to: hosts[1].local.address)
    }

    private static func repairChecksum(_ bytes: inout [UInt8], from source: IPAddress, to destination: IPAddress) {
        let count = bytes.count
        var span = bytes.mutableSpan
        var packet = span.mutableBytes
        packet.put16(0, at: InFlight.networkHeader + 16)
        TCPHeader.writeChecksum(
            in: &packet, range: InFlight.networkHeader..<count, source: source, destination: destination, partial: false
        )
    }

    /// A stranger that reads the wire opens a connection in the client's name.
    func forgeHandshake() {
        let syn = forgery(SequenceNumber(1_000), SequenceNumber(0), .syn)
        deliver(syn)
        guard let reply = flight.popLast()?.header else { return }
        flight.append(forgery(SequenceNumber(1_001), reply.sequence + 1, .ack))
    }

    private func forgery(
        _ sequence: SequenceNumber, _ acknowledgment: SequenceNumber, _ flags: TCPFlags
    ) -> InFlight {
        let header = TCPHeader(
            sourcePort: hosts[0].local.port, destinationPort: hosts[1].local.port, sequence: sequence,
            acknowledgment: acknowledgment, flags: flags, window: 1000)
        var bytes = [UInt8](repeating: 0, count: InFlight.networkHeader + 20)
        var span = bytes.mutableSpan
        var packet = span.mutableBytes
        let ip = IPHeader(
            source: hosts[0].local.address, destination: hosts[1].local.address, protocolNumber: IPProtocol.tcp,
            hopLimit: 64, trafficClass: 0)
        ip.write(to: &packet, payloadLength: 20)
        header.write(to: &packet, at: InFlight.networkHeader)
        World.repairChecksum(&bytes, from: hosts[0].local.address, to: hosts[1].local.address)
        return InFlight(bytes: bytes, destination: 1)
    }
}
