import TCPEngine
public import TCPWire

// UDP's user calls (RFC 768, RFC 1122 §4.1.4).
extension Stack {
    /// Opens a socket on a port, an ephemeral one (RFC 6056) if it is zero, for datagrams to one of this host's addresses
    /// or to all of them.
    ///
    /// - Throws: `noLocalAddress` if the address is not this host's; `addressInUse`; `noPortLeft`; `noMemory`.
    public mutating func openUDP(
        on port: UInt16 = 0, address: IPAddress? = nil, options: UDPOptions = UDPOptions(), at now: Instant
    ) throws(OpenError) -> UDPSocketID {
        context.now = max(context.now, now)
        var local = UDPSocket.anyAddress
        if let address {
            guard let index = localIndex(address) else { throw .noLocalAddress }
            local = index
        }
        var key = FlowKey(remote: UDPSocket.nobody, remotePort: 0, local: local, localPort: port)
        if port == 0 {
            guard chooseUDPPort(&key) else { throw .noPortLeft }
        } else if udp.find(key, secret) != nil {
            throw .addressInUse
        }
        let generation = nextGeneration
        nextGeneration &+= 1
        guard
            let slot = udp.sockets.insert(
                UDPSocket(key: key, generation: generation, options: options), &context.budget)
        else { throw .noMemory }
        guard place(slot) else {
            udp.sockets.remove(slot, &context.budget)
            throw .noMemory
        }
        return UDPSocketID(slot: slot, generation: generation)
    }

    /// Ties a socket to one peer: it takes that one's datagrams only, before sockets without a peer, sends to it, and hears
    /// of ICMP errors about what it sent (RFC 1122 §4.1.3.3).
    ///
    /// - Throws: `invalidAddress`, `noRoute`, `noLocalAddress`, `addressInUse`, `noMemory`.
    public mutating func connectUDP(_ id: UDPSocketID, to peer: Endpoint, at now: Instant) throws(OpenError) {
        context.now = max(context.now, now)
        guard let slot = udpSlot(id), peer.port != 0, peer.address.isValidSource,
            !isBroadcastOrMulticast(peer.address)
        else { throw .invalidAddress }
        let old = udp.sockets[slot].key
        var local = old.local
        if local == UDPSocket.anyAddress { local = try sourceAddress(for: peer.address, nil, on: nil) }
        guard addresses[Int(local)].prefix.address.isIPv4 == peer.address.isIPv4 else { throw .noLocalAddress }
        let key = FlowKey(
            remote: peer.address, remotePort: peer.port, local: local, localPort: old.localPort)
        guard key != old else { return }
        guard udp.find(key, secret) == nil else { throw .addressInUse }
        displace(slot)
        udp.sockets[slot].key = key
        udp.sockets[slot].error = nil
        // A table that has just given a place has one.
        guard place(slot) else { throw .noMemory }
    }

    /// Sends a datagram to the socket's peer, or to `destination`; `source` is the address of this host to send from, where
    /// the socket is for all of them.
    ///
    /// - Returns: whether it was queued; after `false` the event `writable` tells when to try again.
    /// - Throws: `DatagramError`.
    public mutating func send(
        _ id: UDPSocketID, _ bytes: RawSpan, to destination: Endpoint? = nil, from source: IPAddress? = nil,
        at now: Instant
    ) throws(DatagramError) -> Bool {
        context.now = max(context.now, now)
        guard let slot = udpSlot(id) else { throw .notOpen }
        if let error = udp.sockets[slot].error {
            udp.sockets[slot].error = nil
            throw error
        }
        let key = try flow(of: slot, destination, source)
        let isIPv4 = key.remote.isIPv4
        // RFC 768: the length field has 16 bits; so has IPv4's, with its header in it.
        guard bytes.byteCount <= (isIPv4 ? 65_535 &- 28 : 65_535 &- 8) else { throw .tooLarge }
        let options = udp.sockets[slot].options
        let room = min(
            interfaces[interface(of: key)].mtu(isIPv4: key.remote.isIPv4), paths.mtu(to: key.remote, context.now))
        if options.doesNotFragment, bytes.byteCount &+ (isIPv4 ? 28 : 48) > room { throw .tooLarge }
        let length = 8 &+ bytes.byteCount
        let cost = length &+ Message.headSize
        let limit = options.sendBuffer ?? configuration.udpSendBuffer
        guard udp.sockets[slot].queued == 0 || udp.sockets[slot].queued &+ cost <= limit else {
            udp.sockets[slot].marks.insert(.wantsRoom)
            return false
        }
        var head: [8 of UInt8] = .init(repeating: 0)
        var span = head.mutableSpan
        // Safe: octets may have any value.
        var header = unsafe span.mutableBytes
        header.put16(key.localPort, at: 0)
        header.put16(key.remotePort, at: 2)
        header.put16(UInt16(truncatingIfNeeded: length), at: 4)
        let message = Message(
            key: key, length: length, protocolNumber: IPProtocol.udp,
            trafficClass: options.differentiatedServices &<< 2,
            hopLimit: options.hopLimit ?? hopLimit(for: key), isAtomic: options.doesNotFragment, owner: slot,
            ownerGeneration: id.generation)
        do throws(PacketFault) {
            try queue(message, .udp, header.bytes, bytes, limit: .max)
        } catch {
            // What the socket has on its way drains, and tells; without that there is nothing to wait for but memory.
            if udp.sockets[slot].queued == 0, !udp.sockets[slot].marks.contains(.wantsRoom) {
                udp.waitingForMemory.append(id)
            }
            udp.sockets[slot].marks.insert(.wantsRoom)
            return false
        }
        udp.sockets[slot].queued &+= cost
        return true
    }

    /// Reads the datagram that has waited longest; `nil` when none waits. Octets that do not fit are dropped.
    ///
    /// - Throws: `refused` or `unreachable` once after an ICMP error about what a connected socket sent; `notOpen`.
    public mutating func receive(
        _ id: UDPSocketID, into buffer: inout MutableRawSpan, at now: Instant
    ) throws(DatagramError) -> ReceivedDatagram? {
        context.now = max(context.now, now)
        guard let slot = udpSlot(id) else { throw .notOpen }
        let before = UDPTable.blockBytes(udp.sockets[slot].received.octets.count)
        guard let message = udp.sockets[slot].received.next(&context.pool, &context.budget) else {
            if let error = udp.sockets[slot].error {
                udp.sockets[slot].error = nil
                throw error
            }
            return nil
        }
        let count = min(message.length, buffer.byteCount)
        udp.sockets[slot].received.take(count, to: &buffer, at: 0, &context.pool, &context.budget)
        udp.sockets[slot].received.drop(message.length &- count, &context.pool, &context.budget)
        udp.receivedBytes &-= before &- UDPTable.blockBytes(udp.sockets[slot].received.octets.count)
        return ReceivedDatagram(
            source: Endpoint(message.key.remote, message.key.remotePort),
            destination: Endpoint(localAddress(message.key), message.key.localPort), length: message.length,
            trafficClass: message.trafficClass, hopLimit: message.hopLimit)
    }

    /// Closes a socket. What it has queued still leaves; what was not read is dropped.
    public mutating func closeUDP(_ id: UDPSocketID, at now: Instant) {
        context.now = max(context.now, now)
        guard let slot = udpSlot(id) else { return }
        udp.receivedBytes &-= UDPTable.blockBytes(udp.sockets[slot].received.octets.count)
        udp.sockets[slot].received.removeAll(&context.pool, &context.budget)
        udp.removeFromReady(slot)
        displace(slot)
        udp.sockets.remove(slot, &context.budget)
    }

    /// Both ends of a socket, the peer's zero where it has none; `nil` for a stale handle.
    public func endpoints(of id: UDPSocketID) -> (local: Endpoint, remote: Endpoint)? {
        guard let slot = udpSlot(id) else { return nil }
        let key = udp.sockets[slot].key
        let local = key.local == UDPSocket.anyAddress ? IPAddress(ipv4: 0) : localAddress(key)
        return (Endpoint(local, key.localPort), Endpoint(key.remote, key.remotePort))
    }
}
