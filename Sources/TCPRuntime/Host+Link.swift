internal import TCPStack
internal import TCPWire

// Between the stack and the device: nothing, or an Ethernet link.
extension Host {
    /// Hands a packet of the device's on.
    func take(_ packet: RawSpan, _ metadata: PacketMetadata, at now: Instant) {
        if ethernet != nil {
            ethernet!.receive(packet, metadata: metadata, into: &stack, at: now)
        } else {
            stack.receive(packet, metadata: metadata, at: now)
        }
    }

    var wantsToTransmit: Bool { ethernet?.wantsToTransmit(stack) ?? stack.wantsToTransmit }

    var deadlineOfStack: Instant? {
        guard let linkDeadline = ethernet?.nextDeadline else { return stack.nextDeadline }
        return stack.nextDeadline.map { min($0, linkDeadline) } ?? linkDeadline
    }

    func advance(to now: Instant) {
        if ethernet != nil { ethernet!.advance(to: now, &stack) }
        stack.advance(to: now)
    }

    /// Writes the next packet into `outgoing`, its payload perhaps left where it is: see `fragments`.
    func nextPacket(at now: Instant) -> TransmittedPacket? {
        let memory = outgoing.octets
        var span = memory.mutableBytes
        guard device.gathers else {
            return ethernet != nil
                ? ethernet!.transmit(into: &span, from: &stack, at: now) : stack.transmit(into: &span, at: now)
        }
        let largest = device.largestGathered
        return ethernet != nil
            ? ethernet!.transmit(headersInto: &span, payload: &fragments, largestPacket: largest, from: &stack, at: now)
            : stack.transmit(headersInto: &span, payload: &fragments, largestPacket: largest, at: now)
    }
}
