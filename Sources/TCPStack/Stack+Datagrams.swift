import TCPEngine
import TCPWire

// UDP datagrams arrive, and what comes back about those that left (RFC 768, RFC 1122 §4.1, RFC 8200 §8.1).
extension Stack {
    mutating func takeDatagram(
        _ packet: RawSpan, _ ip: IPHeader, _ local: UInt16, _ metadata: PacketMetadata
    ) throws(PacketFault) {
        let body = packet.extracting(ip.headerLength..<ip.totalLength)
        guard body.byteCount >= 8 else { throw .truncated }
        // RFC 768: the length of header and data; what IP has beyond it is no part of it.
        let length = Int(body.be16(4))
        guard length >= 8, length <= body.byteCount else { throw .badDatagramLength }
        let datagram = body.extracting(0..<length)
        if datagram.be16(6) == 0 {
            // RFC 768: none was made. RFC 8200 §8.1: over IPv6 there is none without.
            guard ip.source.isIPv4 else { throw .badChecksum }
        } else if !metadata.isChecksumTrusted || configuration.alwaysVerifiesChecksums {
            var checksum = Checksum()
            checksum.addPseudoHeader(
                source: ip.source, destination: ip.destination, protocol: IPProtocol.udp, length: length)
            checksum.add(datagram)
            guard checksum.value == 0 else { throw .badChecksum }
        }
        guard datagram.be16(2) != 0 else { throw .portZero }
        counts.datagramsReceived &+= 1
        let key = FlowKey(remote: ip.source, remotePort: datagram.be16(0), local: local, localPort: datagram.be16(2))
        guard let slot = socket(for: key) else {
            // RFC 1122 §4.1.3.1.
            report(.portUnreachable, about: packet, ip, local)
            throw .noSocket
        }
        try keep(datagram.extracting(8..<length), key, ip, slot)
    }

    /// Whose a datagram is: a socket with that peer before one bound to the address, before one bound to all.
    private func socket(for key: FlowKey) -> UInt32? {
        if let slot = udp.find(key, secret) { return slot }
        var bound = FlowKey(remote: UDPSocket.nobody, remotePort: 0, local: key.local, localPort: key.localPort)
        if let slot = udp.find(bound, secret) { return slot }
        bound.local = UDPSocket.anyAddress
        return udp.find(bound, secret)
    }

    /// Keeps a datagram until it is read, within the socket's limit and that of all together.
    private mutating func keep(
        _ payload: RawSpan, _ key: FlowKey, _ ip: IPHeader, _ slot: UInt32
    ) throws(PacketFault) {
        let before = udp.sockets[slot].received.octets.count
        let after = before &+ Message.headSize &+ payload.byteCount
        let grown = UDPTable.blockBytes(after) &- UDPTable.blockBytes(before)
        let limit = udp.sockets[slot].options.receiveBuffer ?? configuration.udpReceiveBuffer
        guard after <= limit || before == 0,
            udp.receivedBytes &+ grown <= configuration.memoryBudget / 4
        else { throw .datagramQueueFull }
        let message = Message(
            key: key, length: payload.byteCount, protocolNumber: IPProtocol.udp, trafficClass: ip.trafficClass,
            hopLimit: ip.hopLimit)
        guard udp.sockets[slot].received.append(message, payload, RawSpan(), &context.pool, &context.budget) else {
            throw .noMemory
        }
        udp.receivedBytes &+= grown
        udp.makeReady(slot, .readable)
    }

    /// An ICMP error about a datagram of that flow: only a socket with a peer can tell that it sent such (RFC 1122 §4.1.3.3).
    mutating func takeError(
        _ kind: ICMPError, mtu: Int, aboutDatagramOf key: FlowKey
    ) throws(PacketFault) {
        guard let slot = udp.find(key, secret) else { throw .noConnection }
        switch kind {
        case .packetTooBig:
            paths.report(mtu, to: key.remote, context.now)
            return
        case .hard: udp.sockets[slot].error = .refused
        case .soft: udp.sockets[slot].error = .unreachable
        }
        udp.makeReady(slot, [.readable, .troubled])
    }

    /// A message's last octet has left, or was dropped.
    mutating func messageLeft(_ message: Message) {
        guard udp.sockets.contains(message.owner), udp.sockets[message.owner].generation == message.ownerGeneration
        else { return }
        udp.sockets[message.owner].queued &-= message.length &+ Message.headSize
        if udp.sockets[message.owner].marks.contains(.wantsRoom) { tellRoom(message.owner) }
    }

    // MARK: Finding

    func udpSlot(_ id: UDPSocketID) -> UInt32? {
        guard udp.sockets.contains(id.slot), udp.sockets[id.slot].generation == id.generation else { return nil }
        return id.slot
    }

    private mutating func tellRoom(_ slot: UInt32) {
        udp.sockets[slot].marks.remove(.wantsRoom)
        udp.makeReady(slot, .writable)
    }

    /// Tells those whose sends found no memory that there is some.
    mutating func wakeSendersForMemory() {
        for id in udp.waitingForMemory {
            if let slot = udpSlot(id), udp.sockets[slot].marks.contains(.wantsRoom) { tellRoom(slot) }
        }
        udp.waitingForMemory.removeAll(keepingCapacity: true)
    }

    /// The next event of a socket.
    mutating func nextDatagramEvent() -> StackEvent? {
        guard !udp.ready.isEmpty else { return nil }
        let slot = udp.ready.head
        udp.removeFromReady(slot)
        let changes = udp.sockets[slot].changes
        udp.sockets[slot].changes = []
        return .datagrams(UDPSocketID(slot: slot, generation: udp.sockets[slot].generation), changes)
    }

    /// Where a datagram of a socket goes, and from where.
    func flow(of slot: UInt32, _ destination: Endpoint?, _ source: IPAddress?) throws(DatagramError) -> FlowKey {
        var key = udp.sockets[slot].key
        if udp.sockets[slot].isConnected {
            guard destination == nil || destination == Endpoint(key.remote, key.remotePort) else { throw .otherPeer }
            return key
        }
        guard let destination else { throw .notConnected }
        guard destination.port != 0, destination.address.isValidSource, !isBroadcastOrMulticast(destination.address)
        else { throw .invalidAddress }
        if key.local == UDPSocket.anyAddress {
            do throws(OpenError) {
                key.local = try sourceAddress(for: destination.address, source, on: nil)
            } catch {
                throw error == .noRoute ? .noRoute : .noLocalAddress
            }
        }
        guard localAddress(key).isIPv4 == destination.address.isIPv4 else { throw .noLocalAddress }
        return FlowKey(
            remote: destination.address, remotePort: destination.port, local: key.local, localPort: key.localPort)
    }

    // MARK: The table

    mutating func place(_ slot: UInt32) -> Bool {
        let hash = udp.sockets[slot].key.hash(secret)
        return udp.flows.insert(.connection(slot), hash: hash, udp.sockets, secret, &context.budget)
    }

    mutating func displace(_ slot: UInt32) {
        let hash = udp.sockets[slot].key.hash(secret)
        udp.flows.remove(.connection(slot), hash: hash, udp.sockets, secret, &context.budget)
    }

    /// RFC 6056 §3.3.1: a port of 49152...65535 that nobody can foresee, and nobody uses.
    mutating func chooseUDPPort(_ key: inout FlowKey) -> Bool {
        let count: UInt64 = 16384
        udp.draws &+= 1
        let draw = FlowKey(remote: IPAddress(high: udp.draws, low: 0), remotePort: 0, local: key.local, localPort: 0)
        let start = draw.digest(secret, salt: 7) % count
        for step in 0..<count {
            key.localPort = UInt16(49152 &+ (start &+ step) % count)
            if udp.find(key, secret) == nil { return true }
        }
        return false
    }
}
