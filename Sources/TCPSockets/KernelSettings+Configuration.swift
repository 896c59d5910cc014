import TCPStack

extension KernelSettings {
    /// The same as the stack is told it.
    var configuration: Configuration {
        var result = Configuration()
        result.mtu = mtu
        result.sendBuffer = sendBuffer
        result.receiveBuffer = receiveBuffer
        result.maximumSegmentLifetime = maximumSegmentLifetime
        result.initialRTO = initialRTO
        result.minimumRTO = minimumRTO
        result.maximumRTO = maximumRTO
        result.delayedAcknowledgment = delayedAcknowledgment
        result.userTimeout = userTimeout
        result.openTimeout = openTimeout
        result.synAckRetries = synAckRetries
        result.orphanTimeout = finWait2Timeout
        result.windowScaling = windowScaling
        result.timestamps = timestamps
        result.selectiveAcknowledgment = selectiveAcknowledgment
        result.hopLimit = hopLimit
        result.recordsStateChanges = true
        return result
    }
}
