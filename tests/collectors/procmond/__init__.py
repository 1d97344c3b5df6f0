"""Tests of daemoneye.collectors.procmond."""
