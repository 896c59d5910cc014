import TCPEngine
public import TCPWire

// A frame arrives: whether it is for this interface, and whether for the link itself or for the stack.
extension EthernetLink {
    /// Takes a frame from the device, from its header on; padding and no check sequence may follow the packet. Whatever it
    /// holds, the worst it causes is to be counted and dropped.
    public mutating func receive(
        _ frame: RawSpan, metadata: PacketMetadata = PacketMetadata(), into stack: inout Stack, at now: Instant
    ) {
        clock(now, &stack)
        counts.framesReceived &+= 1
        do throws(EthernetFault) {
            try take(frame, metadata, &stack)
        } catch {
            counts.count(error)
        }
        schedule(table.deadline)
    }

    private mutating func take(
        _ frame: RawSpan, _ metadata: PacketMetadata, _ stack: inout Stack
    ) throws(EthernetFault) {
        let header = try EthernetHeader(parsing: frame)
        if header.destination != address {
            guard header.destination.isMulticast else { throw .otherDestination }
            guard header.destination == .broadcast || isJoined(header.destination) else { throw .groupNotJoined }
        }
        let packet = frame.extracting(EthernetHeader.length..<frame.byteCount)
        switch header.payload {
        case .arp: try receiveARP(packet, &stack)
        case .ipv4:
            guard packet.byteCount >= 20 else { throw .truncated }
            guard packet.u8(0) &>> 4 == 4 else { throw .versionMismatch }
            if header.destination.isMulticast {
                // RFC 1122 §3.3.6: what is for one host alone does not come in a frame for all.
                guard stack.isBroadcastOrMulticast(IPAddress(ipv4: packet.be32(16))) else { throw .linkBroadcast }
            }
            receive(packet, from: IPAddress(ipv4: packet.be32(12)), metadata, &stack)
        case .ipv6:
            guard packet.byteCount >= 40 else { throw .truncated }
            guard packet.u8(0) &>> 4 == 6 else { throw .versionMismatch }
            guard !header.destination.isMulticast || packet.u8(24) == 0xFF else { throw .linkBroadcast }
            if packet.u8(6) != IPProtocol.tcp, try receiveControl(packet, header, &stack) { return }
            receive(packet, from: packet.ipv6(8), metadata, &stack)
        }
    }

    /// Hands a packet to the stack, and hears from it whether what this host sends arrives.
    @inline(__always)
    private mutating func receive(
        _ packet: RawSpan, from source: IPAddress, _ metadata: PacketMetadata, _ stack: inout Stack
    ) {
        let before = stack.context.forwardProgress
        stack.receive(packet, metadata: metadata, on: interface, at: now)
        if stack.context.forwardProgress != before { confirm(wayTo: source, stack) }
    }

    /// Whether a group's frames are for this interface.
    private func isJoined(_ group: MACAddress) -> Bool {
        // RFC 1112 §4: every host is in the group of all hosts; RFC 4291 §2.8: every IPv6 node in that of all nodes.
        if group == MACAddress(group: IPAddress(224, 0, 0, 1)) { return true }
        if group == MACAddress(group: .allNodes) { return speaksIPv6 }
        for record in records where record.isJoined {
            if group == MACAddress(group: record.prefix.address.solicitedNode) { return true }
        }
        return false
    }

    /// Takes what is for the link itself: neighbor discovery, queries of multicast routers. Says whether it was.
    private mutating func receiveControl(
        _ packet: RawSpan, _ frame: EthernetHeader, _ stack: inout Stack
    ) throws(EthernetFault) -> Bool {
        // What is no packet the stack counts.
        guard let header = try? IPHeader(parsing: packet), !header.isFragment,
            let type = NeighborMessage.type(of: packet, header)
        else { return false }
        if type == ListenerQuery.type {
            guard speaksIPv6 else { return true }
            receiveQuery(try ListenerQuery(parsing: packet, header))
            return true
        }
        guard let kind = NeighborMessage.Kind(rawValue: type) else { return false }
        let message = try NeighborMessage(parsing: packet, header)
        guard speaksIPv6 else { throw .groupNotJoined }
        counts.discoveryReceived &+= 1
        switch kind {
        case .neighborSolicitation: try receiveSolicitation(message, frame, &stack)
        case .neighborAdvertisement: try receiveAdvertisement(message, &stack)
        // RFC 4861 §6.2.6: for routers; hosts drop it.
        case .routerSolicitation: throw .routerMessage
        case .routerAdvertisement: try receiveRouterAdvertisement(message, packet, &stack)
        case .redirect: try receiveRedirect(message, &stack)
        }
        return true
    }
}
